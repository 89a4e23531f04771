#include "runtime/client/connect.hpp"

#include "messages/error.hpp"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace sluice {

namespace {

caf::error cannot_connect(int code) {
  return make_error(errc::io_error, "the broker cannot be asked: " + std::generic_category().message(code));
}

} // namespace

caf::expected<std::optional<descriptor>> connect_to(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto& name = path.native();
  if (name.empty() || name.size() >= sizeof(address.sun_path))
    return std::optional<descriptor>{};
  std::memcpy(address.sun_path, name.data(), name.size());
  descriptor result{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!result)
    return cannot_connect(errno);
  while (connect(result.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    switch (errno) {
    case EINTR: continue;
    case EACCES:
    case EPERM: return make_error(errc::not_authorized, "the broker's socket may not be used");
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
    case ENOTSOCK:
    case EPROTOTYPE:
    // Its queue is full; the next try may find room.
    case EAGAIN: return std::optional<descriptor>{};
    default: return cannot_connect(errno);
    }
  }
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(result.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return cannot_connect(errno);
  if (peer.uid != geteuid())
    return make_error(errc::not_authorized, "the broker's socket is another user's");
  return std::optional<descriptor>{std::move(result)};
}

} // namespace sluice
