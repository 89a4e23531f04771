#pragma once

#include "runtime/os/file_identity.hpp"
#include "runtime/store/change_file.hpp"

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

/// The files that a broker used last for one database.
struct file_record {
  file_identity database;
  /// The write-ahead log; nothing when there was none.
  std::optional<file_identity> log;
  /// When the log was created, in nanoseconds since the Unix epoch; 0 where the file system does not store it.
  int64_t log_born_ns = 0;
  /// Whether the broker has closed the database in order. Later changes were then made by other programs; these were
  /// the sizes and the times of the last change.
  bool closed = false;
  uint64_t size = 0;
  int64_t changed_ns = 0;
  uint64_t log_size = 0;
  int64_t log_changed_ns = 0;
  /// While the broker uses it: the first 100 bytes of the database when a checkpoint last changed them, and the round
  /// of the log at that time. Empty when unknown.
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

/// Whether the write-ahead log beside the database at `path` belongs to another file, according to `record`, than the
/// one there now. Opens nothing. Opening both together would damage the database.
bool has_log_of_another_file(const file_record& record, const std::filesystem::path& path) noexcept;

/// The file `.sluice/files.json`. With it the next broker can tell a write-ahead log of the database from one of a
/// replaced file, can detect changes while no broker ran, and can detect that the audit was cut short. A missing or
/// damaged file counts as empty; if it cannot be written, the broker works without it. Thread-safe.
///
/// Each line of the file is a JSON object with a member per database, and one for the audit. The first line has all of
/// them; each further line has one that has changed since. A change costs the same however many databases there are.
class file_registry {
public:
  explicit file_registry(std::filesystem::path file);

  std::optional<file_record> find(const std::string& db) const;

  /// Replaces the record of `db`; the file is written when it returns. Writes nothing if nothing has changed.
  void put(const std::string& db, const file_record& record);

  /// The names of all records, in order.
  std::vector<std::string> names() const;

  /// The last record that the audit is known to have, possibly followed by later ones; nothing when unknown.
  /// @param boot this boot of the machine, as `clock::boot_id`
  std::optional<audit_end> known_audit_end(std::string_view boot) const;

  /// The last record that this process has written. Not stored in the file.
  void expect_audit_end(const audit_end& end);

  /// The same, stored in the file but valid only for this boot of the machine: a power cut may lose the record.
  void note_audit_end(const audit_end& end, std::string_view boot);

  /// The same for a record that is synced to the disk.
  void keep_audit_end(const audit_end& end);

private:
  bool read(const std::string& line);
  void read_audit_end(const nlohmann::json& document);
  void append_audit_end(std::string& to) const;
  std::string as_text() const;
  void save_audit_end(std::unique_lock<std::mutex>& held);
  void save(std::unique_lock<std::mutex>& held);

  mutable std::mutex mutex_;
  // Used by the thread that has set `saving_`.
  change_file file_;
  // Threads that change records while the file is being written share the next write.
  std::condition_variable saved_;
  // Lines that are not in the file yet.
  std::string unsaved_;
  uint64_t changes_ = 0;
  uint64_t saved_changes_ = 0;
  bool saving_ = false;
  std::map<std::string, file_record> records_;
  std::optional<audit_end> kept_end_;
  std::optional<audit_end> noted_end_;
  // The boot id of the machine when the end was noted.
  std::string noted_boot_;
  std::optional<audit_end> expected_end_;
};

} // namespace sluice
