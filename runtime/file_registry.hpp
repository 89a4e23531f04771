#pragma once

#include "runtime/file_identity.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace sluice {

/// Which files a broker worked with last, by the name of their database.
struct file_record {
  file_identity database;
  /// The write-ahead log; nothing when there was none.
  std::optional<file_identity> log;
  /// When the log was made, in nanoseconds since the Unix epoch; 0 where the file system does not say.
  int64_t log_born_ns = 0;
  /// Whether the broker has closed the database in order. Then nobody but other programs has changed it since, and
  /// sizes and times of the last change were these.
  bool closed = false;
  uint64_t size = 0;
  int64_t changed_ns = 0;
  uint64_t log_size = 0;
  int64_t log_changed_ns = 0;
  /// While the broker works with it: the first 100 bytes of the database when a checkpoint last changed them, and the
  /// number of the log's round then. Empty when unknown.
  std::string head;
  uint32_t round = 0;

  friend bool operator==(const file_record&, const file_record&) = default;
};

/// Whether the write-ahead log beside the database at `path` was written for another file, as `x` has it, than lies there
/// now. Opens nothing. Opened together, the two are one damaged database.
bool has_log_of_another_file(const file_record& x, const std::filesystem::path& path) noexcept;

/// The file `.sluice/files.json`: lets the next broker tell a write-ahead log of the database from one that belongs to a
/// file which was replaced, and see what changed while no broker ran. A file that is missing or damaged counts as empty;
/// one that cannot be written is done without. Thread-safe.
class file_registry {
public:
  explicit file_registry(std::filesystem::path file);

  std::optional<file_record> find(const std::string& db) const;

  /// Replaces the record of `db`; writes the file unless nothing has changed.
  void put(const std::string& db, const file_record& x);

private:
  void save() const;

  const std::filesystem::path file_;
  mutable std::mutex mutex_;
  std::map<std::string, file_record> records_;
};

} // namespace sluice
