#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <termios.h>

namespace sluice::cli {

/// The terminal of a command that redraws the screen and reads single keys; works with any ANSI terminal, also over
/// ssh. Has no effect where stdin or stdout is no terminal. The destructor restores the terminal.
class raw_terminal {
public:
  raw_terminal();
  raw_terminal(const raw_terminal&) = delete;
  raw_terminal& operator=(const raw_terminal&) = delete;
  ~raw_terminal();

  bool is_one() const noexcept { return active_; }

  /// The output that replaces the screen by `text`, cut to the screen's size.
  std::string frame(std::string_view text) const;

  /// Waits for `time`, or until `q` is typed; returns true for the latter.
  bool wait_for_quit(std::chrono::milliseconds time) const;

private:
  bool active_;
  termios before_{};
};

} // namespace sluice::cli
