#pragma once

#include <caf/expected.hpp>

#include <nlohmann/json_fwd.hpp>

#include <compare>
#include <cstdint>
#include <filesystem>
#include <optional>

namespace sluice {

/// Identifies a file or folder independently of its name. Two names with equal identities are the same file: hard
/// links, or the same folder mounted at two places. A copy or a replacement has another identity.
///
/// The system may give the inode of a deleted file to a new one. An identity is therefore proof only while its owner
/// keeps a descriptor of the file open.
struct file_identity {
  uint64_t device = 0;
  uint64_t inode = 0;

  friend auto operator<=>(const file_identity&, const file_identity&) = default;
};

/// The identity of the file at `path`, or of the symbolic link there; nothing if `path` does not exist or cannot be
/// looked up. One `statx`; opens nothing, so it drops no lock on a database that this process has open, and reads no
/// times, so that writes to the file stay cheap.
std::optional<file_identity> identity_of(const std::filesystem::path& path) noexcept;

/// The identity of the open file `fd`, whatever is at its former path; nothing if `fd` is not open. One `fstat`.
std::optional<file_identity> identity_of(int fd) noexcept;

/// The creation time of the file at `path`, in nanoseconds since the Unix epoch; 0 if there is none, or its file system
/// does not store it. Unlike an inode it is not reused.
int64_t birth_time_ns(const std::filesystem::path& path) noexcept;

/// `{"device": N, "inode": N}`
nlohmann::json as_json(const file_identity& identity);

/// Reads the output of `as_json`. `errc::invalid_request` for anything else; further members are ignored.
caf::expected<file_identity> file_identity_from_json(const nlohmann::json& document);

} // namespace sluice
