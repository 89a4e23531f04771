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

/// The version of the protocol on the socket. Both sides of a connection have the same one.
inline constexpr int protocol_version = 1;

/// The content of `.sluice/broker.json`, which may have been copied with its store: for people, and for the path of the
/// socket. The lock alone shows which process leads.
struct broker_info {
  pid_t pid = 0;
  int protocol = protocol_version;
  std::string version;
  /// The folder that it leads. Nothing from older brokers.
  std::optional<file_identity> root;
  /// Absolute.
  std::filesystem::path socket;
  /// `127.0.0.1:PORT`, or empty.
  std::string http;
  /// Started by a client; ends when it is idle.
  bool transient = false;
  /// Serves this process alone, without a socket.
  bool is_in_process = false;
  /// Microseconds since the Unix epoch.
  int64_t started_us = 0;
};

/// Where the leader of `root` listens: `.sluice/broker.sock`, or, where that is longer than a socket's path may be (107
/// bytes), a name made from the root's path in a folder that is this user's alone: `$XDG_RUNTIME_DIR/sluice/`, else
/// `sluice-UID/` in the temporary folder. That folder is made (0700) if `make_folder` says so. `errc::not_authorized`
/// when the folder belongs to another user or others may enter it.
caf::expected<std::filesystem::path> socket_path_of(const store_root& root, bool make_folder);

/// A place to look for the leader of a store.
struct leader_socket {
  std::filesystem::path path;
  /// Whether the place is the store's own: in its `.sluice/`, or named after its path. Older brokers do not report
  /// which folder they lead; clients accept them at such a place only.
  bool is_own = false;
};

/// Where to look for the leader of `root`, in this order: where `broker.json` says, if it is of this root and that is
/// in a folder that is this user's alone (the leader may have had another environment, or know the root by another
/// path), then `socket_path_of`. May be empty. Makes nothing.
std::vector<leader_socket> leader_sockets(const store_root& root);

/// Whether `socket` is a place of the root's own, as `leader_socket::is_own` has it.
bool is_own_socket(const store_root& root, const std::filesystem::path& socket);

/// Writes `broker.json` (0600) as a whole or not at all.
caf::expected<void> publish(const store_root& root, const broker_info& info);

/// Removes the file, if it is `info`'s.
void unpublish(const store_root& root, const broker_info& info);

/// The leader of `root` according to the file; nothing when there is no file, it is invalid, it belongs to another root
/// (it was copied), or other users can write it.
std::optional<broker_info> published_info(const store_root& root);

/// The root that `broker.json` names, whichever it is; nothing when there is none.
std::optional<file_identity> published_root(const store_root& root);

} // namespace sluice
