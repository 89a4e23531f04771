#include "runtime/client/connect.hpp"

#include "messages/error.hpp"
#include "runtime/os/unix_socket.hpp"

#include <cerrno>
#include <system_error>

namespace sluice {

caf::expected<std::optional<descriptor>> connect_to(const std::filesystem::path& path) {
  auto connected = connect_unix_socket(path.native());
  if (connected.error == EACCES || connected.error == EPERM)
    return make_error(errc::not_authorized, "the broker's socket may not be used");
  if (connected.error != 0)
    return make_error(errc::io_error,
                      "cannot connect to the broker: " + std::generic_category().message(connected.error));
  if (!connected.socket)
    return std::optional<descriptor>{};
  if (!connected.is_own)
    return make_error(errc::not_authorized, "the broker's socket is another user's");
  return std::optional<descriptor>{std::move(connected.socket)};
}

} // namespace sluice
