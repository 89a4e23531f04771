#include "runtime/cli/output.hpp"

#include "runtime/cli/terminal_text.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <unistd.h>

namespace sluice::cli {

bool is_read_by_terminal() noexcept {
  static const auto result = isatty(STDOUT_FILENO) != 0;
  return result;
}

delivery print(std::string_view text) {
  return is_read_by_terminal() ? print_raw(printable_lines(text)) : print_raw(text);
}

delivery print_json(std::string_view documents) {
  return is_read_by_terminal() ? print_raw(printable_json(documents)) : print_raw(documents);
}

delivery print_raw(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return delivery::complete;
  auto reason = errno;
  if (reason == EPIPE)
    return delivery::reader_gone;
  std::fprintf(stderr, "sluice: io_error: cannot write the output: %s\n",
               reason == EBADF ? "standard output is closed" : std::strerror(reason));
  return delivery::failed;
}

int status_of(delivery end) noexcept { return end == delivery::failed ? failed : done; }

int finish(std::string_view text) { return status_of(print(text)); }

int finish_cut(int status, std::string_view cut) {
  note(cut);
  return status == done ? incomplete : status;
}

// An error in writing to stderr is ignored.
void note(std::string_view text) { std::fputs(("sluice: " + printable(text) + '\n').c_str(), stderr); }

} // namespace sluice::cli
