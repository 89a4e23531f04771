#pragma once

#include <caf/expected.hpp>

#include <nlohmann/json_fwd.hpp>

#include <compare>
#include <cstdint>
#include <filesystem>
#include <optional>

namespace sluice {

/// Which file or folder something is, independent of its name. Two names with equal identities are the same file: hard
/// links, or the same folder mounted at two places. A copy or a replacement has another identity.
///
/// The system may give the inode of a deleted file to a new one. An identity is therefore only proof while its owner
/// keeps a descriptor of the file open.
struct file_identity {
  uint64_t device = 0;
  uint64_t inode = 0;

  friend auto operator<=>(const file_identity&, const file_identity&) = default;
};

/// The identity of what lies at `path`, of a symbolic link itself; nothing if `path` does not exist or cannot be looked
/// up. One `statx`; opens nothing, so it takes no lock away from a database that this process has open, and asks for no
/// times, so that writes to the file stay cheap.
std::optional<file_identity> identity_of(const std::filesystem::path& path) noexcept;

/// The identity of the open file `fd`, whatever lies at its former path; nothing if `fd` is not open. One `fstat`.
std::optional<file_identity> identity_of(int fd) noexcept;

/// When the file at `path` was made, in nanoseconds since the Unix epoch; 0 if there is none, or its file system does
/// not say. Unlike an inode it is not reused.
int64_t birth_time_ns(const std::filesystem::path& path) noexcept;

/// `{"device": N, "inode": N}`
nlohmann::json as_json(const file_identity& identity);

/// Reads what `as_json` writes. `errc::invalid_request` for anything else; further members are ignored.
caf::expected<file_identity> file_identity_from_json(const nlohmann::json& document);

} // namespace sluice
