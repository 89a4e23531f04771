#include "runtime/os/unix_socket.hpp"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace sluice {

namespace {

bool means_nobody(int error) noexcept {
  switch (error) {
  case ENOENT:
  case ENOTDIR:
  case ECONNREFUSED:
  case ENOTSOCK:
  case EPROTOTYPE:
  // Its queue is full; the next try may find room.
  case EAGAIN: return true;
  default: return false;
  }
}

} // namespace

unix_connection connect_unix_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path))
    return {};
  std::memcpy(address.sun_path, path.data(), path.size());
  descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket)
    return {{}, errno, false};
  while (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    if (errno != EINTR)
      return {{}, means_nobody(errno) ? 0 : errno, false};
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return {{}, errno, false};
  return {std::move(socket), 0, peer.uid == geteuid()};
}

} // namespace sluice
