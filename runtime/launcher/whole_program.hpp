#pragma once

#include <span>
#include <string>

namespace sluice::launcher {

/// Runs the whole program in the place of this process, with these words, the program's name included. With a key,
/// which the words do not have, the write of the command `exec` goes on under it. Returns only if that fails, with the
/// exit status, after a message on stderr.
int run_whole_program(std::span<char*> words, const std::string& key);

} // namespace sluice::launcher
