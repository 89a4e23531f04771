#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>

namespace sluice::launcher {

/// A request that was sent and not answered.
struct sent_request {
  /// The generated key of a write; empty if the command line has a key.
  std::string key;
  std::chrono::milliseconds waited{0};
  /// Whether the broker was silent until then.
  bool silent = false;
};

/// The absolute path of the main program; empty when this program's own path is not known.
std::string main_program();

/// Replaces this process by the main program (`execv`) with the arguments `words`, including the program's name, which
/// continues the request `sent`. Returns only if that fails, with the exit status, after a message on stderr.
int run_main_program(std::span<char*> words, const std::optional<sent_request>& sent);

} // namespace sluice::launcher
