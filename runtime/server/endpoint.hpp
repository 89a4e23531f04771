#pragma once

#include "runtime/store/store_root.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sluice {

/// The version of the protocol on the socket. Both sides of a connection must have the same one.
inline constexpr int protocol_version = 1;

/// The content of `.sluice/broker.json`, which may have been copied with its store. It is information for people, and
/// has the path of the socket. Only the lock shows which process leads.
struct broker_info {
  pid_t pid = 0;
  int protocol = protocol_version;
  std::string version;
  /// The folder that the broker leads. Nothing from older brokers.
  std::optional<file_identity> root;
  /// Absolute.
  std::filesystem::path socket;
  /// `127.0.0.1:PORT`, or empty.
  std::string http;
  /// Whether a client started it, so that it ends when it is idle.
  bool transient = false;
  /// Whether it serves only this process, without a socket.
  bool is_in_process = false;
  /// Microseconds since the Unix epoch.
  int64_t started_us = 0;
};

/// Where the leader of `root` listens: `.sluice/broker.sock`, or, if that path is too long for a socket (107 bytes), a
/// name made from the root's path in a folder that only this user can enter: `$XDG_RUNTIME_DIR/sluice/`, else
/// `sluice-UID/` in the temporary folder. Creates that folder (0700) if `make_folder` is set. `errc::not_authorized`
/// when the folder belongs to another user or others may enter it.
caf::expected<std::filesystem::path> socket_path_of(const store_root& root, bool make_folder);

/// A place to look for the leader of a store.
struct leader_socket {
  std::filesystem::path path;
  /// Whether the place belongs to the store: it is in its `.sluice/`, or named after its path. Older brokers do not
  /// report which folder they lead; clients accept them only at such a place.
  bool is_own = false;
};

/// Where to look for the leader of `root`, in this order: the path in `broker.json`, if the file belongs to this root
/// and the path is in a folder that only this user can enter (the leader may have had another environment, or know the
/// root by another path), then `socket_path_of`. May be empty. Creates nothing.
std::vector<leader_socket> leader_sockets(const store_root& root);

/// Whether `socket` is a place that belongs to the root, as in `leader_socket::is_own`.
bool is_own_socket(const store_root& root, const std::filesystem::path& socket);

/// Writes `broker.json` (0600), completely or not at all.
caf::expected<void> publish(const store_root& root, const broker_info& info);

/// Removes the file if it has the content of `info`.
void unpublish(const store_root& root, const broker_info& info);

/// The leader of `root` according to the file; nothing when there is no file, it is invalid, it belongs to another root
/// (it was copied), or other users can write it.
std::optional<broker_info> published_info(const store_root& root);

/// The root that `broker.json` names, even if it is another one; nothing when there is none.
std::optional<file_identity> published_root(const store_root& root);

} // namespace sluice
