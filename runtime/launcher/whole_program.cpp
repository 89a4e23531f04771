#include "runtime/launcher/whole_program.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace sluice::launcher {

namespace {

namespace fs = std::filesystem;

// Beside this program, as it is built, or where it is installed.
fs::path find_program() {
  std::error_code failed;
  auto folder = fs::read_symlink("/proc/self/exe", failed).parent_path();
  auto beside = folder / "sluice-main";
  return access(beside.c_str(), X_OK) == 0 ? beside : folder.parent_path() / "libexec" / "sluice" / "sluice-main";
}

} // namespace

int run_whole_program(std::span<char*> words, const std::string& key) {
  std::string option = "--generated-key";
  auto content = key;
  std::vector<char*> arguments{words.begin(), words.end()};
  if (!key.empty())
    arguments.insert(arguments.begin() + 2, {option.data(), content.data()});
  arguments.push_back(nullptr);
  auto program = find_program();
  execv(program.c_str(), arguments.data());
  std::fprintf(stderr, "sluice: internal: the rest of the program cannot be run (%s): %s\n", program.filename().c_str(),
               std::strerror(errno));
  return 1;
}

} // namespace sluice::launcher
