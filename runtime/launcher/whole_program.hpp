#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>

namespace sluice::launcher {

/// A request that was sent, and whose answer did not come.
struct sent_request {
  /// The generated key of a write; empty where the words have one.
  std::string key;
  std::chrono::milliseconds waited{0};
  /// Whether the broker was silent until then.
  bool silent = false;
};

/// Runs the whole program in the place of this process, with these words, the program's name included, in which the
/// request that was sent goes on. Returns only if that fails, with the exit status, after a message on stderr.
int run_whole_program(std::span<char*> words, const std::optional<sent_request>& sent);

} // namespace sluice::launcher
