#pragma once

#include "runtime/os/file_identity.hpp"

#include <nlohmann/json_fwd.hpp>

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// Which files a broker worked with last, by the name of their database.
struct file_record {
  file_identity database;
  /// The write-ahead log; nothing when there was none.
  std::optional<file_identity> log;
  /// When the log was made, in nanoseconds since the Unix epoch; 0 where the file system does not say.
  int64_t log_born_ns = 0;
  /// Whether the broker has closed the database in order. Then only other programs can have changed it since, and sizes
  /// and times of the last change were these.
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

/// The last record of the audit.
struct audit_end {
  /// 0 before the first record.
  uint64_t seq = 0;
  /// Its hash, in hex.
  std::string hash;

  friend bool operator==(const audit_end&, const audit_end&) = default;
};

/// Whether the write-ahead log beside the database at `path` was written for another file, as `record` has it, than
/// lies there now. Opens nothing. Opened together, the two are one damaged database.
bool has_log_of_another_file(const file_record& record, const std::filesystem::path& path) noexcept;

/// The file `.sluice/files.json`: lets the next broker tell a write-ahead log of the database from one that belongs to
/// a file which was replaced, and see what changed while no broker ran, and that the audit does not end where it did. A
/// file that is missing or damaged counts as empty; one that cannot be written is done without. Thread-safe.
class file_registry {
public:
  explicit file_registry(std::filesystem::path file);

  std::optional<file_record> find(const std::string& db) const;

  /// Replaces the record of `db`; when it returns the file has it. Writes nothing if nothing has changed.
  void put(const std::string& db, const file_record& record);

  /// The names of all records, in order.
  std::vector<std::string> names() const;

  /// The audit has this record, and maybe later ones; nothing when it is not known. @param boot this start of the
  /// machine, as `clock::boot`
  std::optional<audit_end> known_audit_end(std::string_view boot) const;

  /// Whether this process has written. Not written to the file.
  void expect_audit_end(const audit_end& end);

  /// The same, written to the file for as long as the machine is not started anew: a power cut may take the record
  /// back.
  void note_audit_end(const audit_end& end, std::string_view boot);

  /// The same, of a record that is safe on the disk.
  void keep_audit_end(const audit_end& end);

private:
  void read_audit_end(const nlohmann::json& document);
  std::string as_text() const;
  void write_file(const std::string& text) const;
  void save(std::unique_lock<std::mutex>& held);

  const std::filesystem::path file_;
  mutable std::mutex mutex_;
  // Threads that change something while the file is being written share the next write: a broker that closes hundreds
  // of databases would else write all records for each of them.
  std::condition_variable saved_;
  uint64_t changes_ = 0;
  uint64_t saved_changes_ = 0;
  bool saving_ = false;
  std::map<std::string, file_record> records_;
  std::optional<audit_end> kept_end_;
  std::optional<audit_end> noted_end_;
  // When the machine had this id.
  std::string noted_boot_;
  std::optional<audit_end> expected_end_;
};

} // namespace sluice
