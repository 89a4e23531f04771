#pragma once

#include <string>
#include <sys/types.h>

namespace sluice {

/// Whether the process is stopped (SIGSTOP, a debugger, a frozen container). False if this process cannot see that.
bool is_stopped(pid_t pid);

/// The process at the other end of a connected Unix-domain socket; 0 if it is hidden.
pid_t peer_of(int socket);

/// A message about a broker that accepts connections and does not answer: its process and the remedy. @param pid 0 if
/// unknown
std::string silence_of(pid_t pid);

} // namespace sluice
