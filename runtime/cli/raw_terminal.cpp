#include "runtime/cli/raw_terminal.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <poll.h>
#include <sys/ioctl.h>
#include <thread>
#include <unistd.h>

namespace sluice::cli {

namespace {

constexpr std::string_view to_other_screen = "\033[?1049h\033[?25l";
constexpr std::string_view to_first_screen = "\033[?25h\033[?1049l";
constexpr std::string_view to_top = "\033[H";
constexpr std::string_view clear_line = "\033[K";
constexpr std::string_view clear_rest = "\033[J";

constexpr char interrupt_key = 3;

void say(std::string_view sequence) {
  std::fwrite(sequence.data(), 1, sequence.size(), stdout);
  std::fflush(stdout);
}

} // namespace

raw_terminal::raw_terminal() : active_(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
  if (!active_ || tcgetattr(STDIN_FILENO, &before_) != 0)
    return;
  auto raw = before_;
  // Ctrl-C is read as a key, too: a signal would not restore the terminal.
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
  tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  say(to_other_screen);
}

raw_terminal::~raw_terminal() {
  if (!active_)
    return;
  say(to_first_screen);
  tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

std::string raw_terminal::frame(std::string_view text) const {
  winsize size{};
  auto known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;
  size_t rows = known ? size.ws_row : 24;
  size_t columns = known ? size.ws_col : 80;
  std::string result{to_top};
  for (size_t row = 0; row + 1 < rows && !text.empty(); ++row) {
    auto end = std::min(text.find('\n'), text.size());
    result.append(text.substr(0, std::min(end, columns))).append(clear_line).append("\n");
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result.append(clear_rest);
}

bool raw_terminal::wait_for_quit(std::chrono::milliseconds time) const {
  if (!active_) {
    std::this_thread::sleep_for(time);
    return false;
  }
  auto until = std::chrono::steady_clock::now() + time;
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    pollfd key{STDIN_FILENO, POLLIN, 0};
    auto ready = left > 0 ? poll(&key, 1, static_cast<int>(left)) : 0;
    if (ready == 0)
      return false;
    // The screen was resized: draw it again.
    if (ready < 0)
      return errno != EINTR;
    // A terminal that has gone ends the command as well.
    char c = 'q';
    if (read(STDIN_FILENO, &c, 1) != 1 || c == 'q' || c == 'Q' || c == interrupt_key)
      return true;
  }
}

} // namespace sluice::cli
