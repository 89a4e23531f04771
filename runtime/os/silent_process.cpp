#include "runtime/os/silent_process.hpp"

#include <fmt/format.h>

#include <fstream>
#include <sys/socket.h>

namespace sluice {

namespace {

std::string line_of(const std::string& file) {
  std::ifstream in{file};
  std::string line;
  std::getline(in, line);
  return line;
}

} // namespace

bool is_stopped(pid_t pid) {
  if (pid <= 0)
    return false;
  // The state follows the name of the program, which may contain any character.
  auto stat = line_of(fmt::format("/proc/{}/stat", pid));
  auto name_end = stat.rfind(')');
  if (name_end != std::string::npos && name_end + 2 < stat.size()
      && (stat[name_end + 2] == 'T' || stat[name_end + 2] == 't'))
    return true;
  // The processes of a frozen control group are in the state "sleeping".
  auto group = line_of(fmt::format("/proc/{}/cgroup", pid));
  auto path = group.rfind("::");
  return path != std::string::npos && line_of("/sys/fs/cgroup" + group.substr(path + 2) + "/cgroup.freeze") == "1";
}

pid_t peer_of(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

std::string silence_of(pid_t pid) {
  if (pid <= 0)
    return "the broker at the socket does not answer; it may be stopped, or stuck";
  if (is_stopped(pid))
    return fmt::format(
      "the broker (process {}) is stopped and does not answer; `kill -CONT {}` lets it go on, `kill -9 "
      "{}` ends it without losing anything acknowledged",
      pid, pid, pid);
  return fmt::format("the broker (process {}) does not answer; if it stays so, `kill -9 {}` ends it without losing "
                     "anything acknowledged",
                     pid, pid);
}

} // namespace sluice
