#include "runtime/launcher/main_program.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace sluice::launcher {

namespace {

namespace fs = std::filesystem;

// The path of `sluice-main`: beside this program in a build folder, in `../libexec/sluice/` of an installation. Empty
// when the path of this program is unknown.
fs::path find_program() {
  std::error_code failed;
  auto self = fs::read_symlink("/proc/self/exe", failed);
  if (failed || !self.is_absolute())
    return {};
  auto beside = self.parent_path() / "sluice-main";
  return access(beside.c_str(), X_OK) == 0 ? beside
                                           : self.parent_path().parent_path() / "libexec" / "sluice" / "sluice-main";
}

} // namespace

std::string main_program() { return find_program().native(); }

int run_main_program(std::span<char*> words, const std::optional<sent_request>& sent) {
  std::vector<std::string> more;
  if (sent)
    more = {"--sent-ms", std::to_string(std::max<int64_t>(1, sent->waited.count()))};
  if (sent && sent->silent)
    more.emplace_back("--sent-in-silence");
  if (sent && !sent->key.empty())
    more.insert(more.end(), {"--sent-key", sent->key});
  std::vector<char*> arguments{words.begin(), words.end()};
  for (size_t i = 0; i < more.size(); ++i)
    arguments.insert(arguments.begin() + 2 + static_cast<std::ptrdiff_t>(i), more[i].data());
  arguments.push_back(nullptr);
  auto program = find_program();
  if (!program.empty())
    execv(program.c_str(), arguments.data());
  std::fprintf(stderr, "sluice: internal: the rest of the program cannot be run (sluice-main): %s\n",
               program.empty() ? "its place is not known without /proc" : std::strerror(errno));
  if (sent)
    std::fprintf(stderr, "sluice: the request was sent, and a write may have been applied, or may be yet\n");
  return 1;
}

} // namespace sluice::launcher
