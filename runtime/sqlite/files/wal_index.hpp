#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

struct sqlite3;

namespace sluice::sqlite {

/// The index of a write-ahead log (`-shm`), as its connections share it
/// (https://sqlite.org/walformat.html#the_wal_index_file_format).
struct wal_index {
  /// The number of transactions committed by any process since the index was created.
  uint32_t changes = 0;
  /// The number of frames in the log, and how many of them a checkpoint has moved into the database.
  uint32_t frames = 0;
  uint32_t moved = 0;
  /// The number of frames that a checkpoint has begun to move; more than `moved` when it was interrupted.
  uint32_t attempted = 0;
  uint32_t page_bytes = 0;
  /// Changes whenever the log restarts.
  std::array<uint32_t, 2> salt{};

  friend bool operator==(const wal_index&, const wal_index&) = default;

  /// The minimum size of the log.
  uint64_t log_bytes() const noexcept;
  /// The maximum number of frames in a log of this size.
  uint64_t frames_in(uint64_t log_bytes) const noexcept;
  /// The round of the log: each restart increases it by one.
  uint32_t round() const noexcept;
};

/// Reads the index through the connection's own mapping, so no descriptor is opened and no lock is dropped. Nothing
/// when it cannot be read in a consistent state. Takes some tens of nanoseconds. @pre the database is in WAL mode, and
/// the connection has read from it
std::optional<wal_index> read_wal_index(sqlite3* db) noexcept;

/// Whether the log is shorter than its index requires, because it was cut short. `log_bytes` returns its size.
/// @pre as above
bool is_log_cut_short(sqlite3* db, const std::function<uint64_t()>& log_bytes) noexcept;

inline constexpr size_t database_header_bytes = 100;

/// The headers of the database (the beginnings of its first page) in the first `frames` frames of the log, oldest
/// first. Reads a part of each frame. @pre as above
std::vector<std::string> database_headers_in_log(sqlite3* db, uint32_t frames);

/// The header of a log that no connection has open.
struct log_content {
  /// As `wal_index::round`.
  uint32_t round = 0;
  /// As `database_headers_in_log`.
  std::vector<std::string> headers;
};

/// Reads the header of the log file's content; nothing when `log` is not a write-ahead log.
std::optional<log_content> read_log_content(const std::string& log);

/// Prevents checkpoints of all other connections, in any process, as long as it lives.
class checkpoint_lock {
public:
  explicit checkpoint_lock(sqlite3* db) noexcept;
  ~checkpoint_lock();
  checkpoint_lock(const checkpoint_lock&) = delete;
  checkpoint_lock& operator=(const checkpoint_lock&) = delete;

  /// False when a checkpoint is running.
  bool held() const noexcept { return held_; }

private:
  sqlite3* db_;
  bool held_ = false;
};

} // namespace sluice::sqlite
