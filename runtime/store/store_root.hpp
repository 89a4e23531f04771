#pragma once

#include "messages/error.hpp"
#include "runtime/os/file_identity.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <string>
#include <string_view>

namespace sluice {

/// The folder that one broker leads: it contains the database files, and the broker's own files. Immutable; safe to
/// share between threads.
class store_root {
public:
  /// Looks the folder up. Creates nothing; sets the mode of an existing `.sluice/` to 0700. `errc::unknown_database`
  /// when there is no such folder, `invalid_request` when it or its `.sluice` is not a folder, `not_authorized` when
  /// its `.sluice` belongs to another user.
  static caf::expected<store_root> open(const std::filesystem::path& root);

  /// Creates `.sluice/` (0700) if it is missing. That makes the folder a store, so the caller must have its claim
  /// (`folder_claim`). Errors as `open`, and `errc::read_only` when nothing may be created there.
  caf::expected<void> make_folder() const;

  /// Looks the folder up and creates nothing, for read-only use. Errors as `open`, except those about `.sluice/`.
  static caf::expected<store_root> look_up(const std::filesystem::path& root);

  /// Absolute, without links.
  const std::filesystem::path& path() const noexcept { return path_; }

  /// The identity of the folder when it was opened. A store is the folder, not its path: a copy is another store, and
  /// so is a folder that replaced it.
  const file_identity& identity() const noexcept { return identity_; }

  /// Whether the path still leads to the folder. One `lstat`.
  bool is_in_place() const noexcept;

  /// The error for a store that is no longer at its path: `errc::wrong_store`.
  static caf::error not_in_place();

  /// The canonical name, relative to the root, of the database file that `name` means: `./a.db`, `sub/../a.db`, the
  /// absolute path and a link inside the root all become `a.db`, so that a file cannot get two writers. The file need
  /// not exist. `errc::invalid_request` for a name that leads out of the root (through a link, too) or into `.sluice/`,
  /// that is a folder or anything else but a file, that is a companion file of a database (`-wal`, `-shm`, `-journal`)
  /// or a file of the broker, that has other hard links, or that is empty, over 1,024 bytes, or not plain UTF-8.
  /// `errc::wrong_store` for a name in a folder that has a `.sluice/` of its own, and when the root is no longer at its
  /// path. Accesses the files in each call, and opens nothing.
  caf::expected<std::string> resolve(std::string_view name) const;

  /// The file of a resolved name.
  std::filesystem::path path_of(const std::string& resolved) const { return path_ / resolved; }

  std::filesystem::path folder() const { return path_ / ".sluice"; }
  std::filesystem::path audit_path() const { return folder() / "audit.db"; }
  std::filesystem::path logs_path() const { return folder() / "logs.db"; }
  std::filesystem::path buffer_path() const { return folder() / "buffer.db"; }
  std::filesystem::path lock_path() const { return folder() / "broker.lock"; }
  std::filesystem::path socket_path() const { return folder() / "broker.sock"; }
  std::filesystem::path info_path() const { return folder() / "broker.json"; }
  std::filesystem::path config_path() const { return path_ / "sluice.toml"; }

private:
  store_root(std::filesystem::path path, file_identity identity) : path_(std::move(path)), identity_(identity) {}

  std::filesystem::path path_;
  file_identity identity_;
};

} // namespace sluice
