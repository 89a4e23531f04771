#pragma once

#include "messages/error.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <string>
#include <string_view>

namespace sluice {

/// The folder that one broker leads: where its database files lie, and what belongs to sluice in it. Immutable; safe to
/// share between threads.
class store_root {
public:
  /// Looks the folder up and makes its `.sluice/` (0700; an existing one is tightened to that).
  /// `errc::unknown_database` when there is no such folder, `invalid_request` when it is no folder or its `.sluice` is
  /// not, `read_only` when nothing may be created there, `not_authorized` when its `.sluice` belongs to another user.
  static caf::expected<store_root> open(const std::filesystem::path& root);

  /// Looks the folder up and makes nothing: for those who only read, where nothing may be written. Errors as `open`,
  /// but for those about `.sluice/`.
  static caf::expected<store_root> look_up(const std::filesystem::path& root);

  /// Absolute, without links.
  const std::filesystem::path& path() const noexcept { return path_; }

  /// The one name, relative to the root, of the database file that `name` means: `./a.db`, `sub/../a.db`, the absolute
  /// path and a link inside the root all come out as `a.db`, so that a file cannot get two writers. The file need not
  /// exist. `errc::invalid_request` for a name that leads out of the root (through a link, too) or into `.sluice/`,
  /// that is a folder or anything else but a file, that is a file of another database (`-wal`, `-shm`, `-journal`) or
  /// of ours, that has other hard links, or that is empty, over 1,024 bytes, or not plain UTF-8. Opens nothing.
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
  explicit store_root(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
};

} // namespace sluice
