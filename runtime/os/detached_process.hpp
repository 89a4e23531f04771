#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sluice {

/// Starts a program in a session of its own, in the folder `/`, with no signal blocked or ignored, whatever this
/// process has set. Its standard error is `log`; its other standard descriptors are `/dev/null`. `passed` become its
/// descriptors 3, 4, and so on; it has no others. Returns 0 and sets `child`, or returns the `errno`.
/// @param words the arguments, with the program itself as the first, by its absolute path
int spawn_detached(std::vector<std::string> words, int log, std::span<const int> passed, pid_t& child);

/// The next line of a pipe, without its line feed, or its part before the end of the pipe or 4,096 bytes; nothing when
/// neither has come at `limit`.
std::optional<std::string> read_pipe_line(int fd, std::chrono::steady_clock::time_point limit);

} // namespace sluice
