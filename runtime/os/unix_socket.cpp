#include "runtime/os/unix_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace sluice {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

bool is_no_listener(int error) noexcept {
  switch (error) {
  case ENOENT:
  case ENOTDIR:
  case ECONNREFUSED:
  case ENOTSOCK:
  case EPROTOTYPE:
  // The listener's accept queue is full; the next try may find room.
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
      return {{}, is_no_listener(errno) ? 0 : errno, false};
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return {{}, errno, false};
  return {std::move(socket), 0, peer.uid == geteuid()};
}

bool await_socket(int socket, short events, steady_clock::time_point limit) {
  for (;;) {
    // poll takes an int of milliseconds, so a longer wait is split.
    constexpr std::chrono::hours longest{1};
    auto now = steady_clock::now();
    auto left = std::chrono::ceil<milliseconds>(std::min<steady_clock::duration>(limit - now, longest)).count();
    pollfd watched{socket, events, 0};
    auto ready = poll(&watched, 1, left > 0 ? static_cast<int>(left) : 0);
    if (ready > 0 || (ready == 0 && left <= 0))
      return ready > 0;
    if (ready < 0 && errno != EINTR)
      return false;
  }
}

bool send_to_socket(int socket, std::string_view text, steady_clock::time_point limit) {
  while (!text.empty()) {
    auto count = send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0)
      text.remove_prefix(static_cast<size_t>(count));
    else if (errno != EINTR && (errno != EAGAIN || !await_socket(socket, POLLOUT, limit)))
      return false;
  }
  return true;
}

} // namespace sluice
