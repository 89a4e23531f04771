#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::sqlite {

/// An operation of SQLite on a file. Unlocking is not one, because it cannot fail.
enum class disk_operation : uint8_t { open, read, write, sync, truncate, remove, lock };

/// The effect on the operation.
enum class disk_effect : uint8_t {
  /// Fails like a broken disk, without effect.
  io_error,
  /// Fails like a full disk, without effect; like `io_error` for operations that need no space: all but `open`, `write`
  /// and `truncate`.
  full,
  /// Is executed, but later; a later fault may still hit the operation.
  delay,
  /// The process dies before the operation.
  kill_before,
  /// The process dies after the operation.
  kill_after,
  /// Fails as if another process held the lock, without effect; like `io_error` for all operations but `lock`. For a
  /// reader's lock on the WAL index SQLite tries again for up to ten seconds.
  busy,
};

/// A fault that waits for its operation.
struct disk_fault {
  /// The end of the file's path, as "app.db" or "app.db-wal"; empty means any file. A leading slash distinguishes
  /// "/app.db" from "myapp.db".
  std::string file;
  disk_operation on = disk_operation::write;
  disk_effect effect = disk_effect::io_error;
  /// The number of operations to skip. Operations that an earlier fault makes fail do not count.
  uint64_t skip = 0;
  /// The number of operations to hit; 0 means every one from then on.
  uint64_t times = 1;
  /// For `disk_effect::delay`.
  std::chrono::milliseconds delay{0};
};

/// The decision on one operation.
struct disk_verdict {
  /// The delay before the operation.
  std::chrono::milliseconds delay{0};
  /// Never `delay`.
  std::optional<disk_effect> effect;
};

/// Decides which fault hits which operation of a disk, and counts operations. Uses no SQLite. Thread-safe.
class fault_rules {
public:
  /// Adds a fault; if several could hit an operation, those added before come first.
  void inject(disk_fault fault);

  /// Limits the growth of all files together; nothing means no limit.
  void set_room(std::optional<uint64_t> bytes);

  /// Whether growth is limited.
  bool is_bounded() const;

  /// Takes `bytes` from the remaining space; false, without effect, when there is less.
  bool take_room(uint64_t bytes);

  /// Removes all faults and bounds. The counts stay.
  void heal();

  /// Counts an operation and decides its outcome. @param path empty for files without a name
  disk_verdict judge(std::string_view path, disk_operation on);

  /// The number of operations on files whose paths have this end.
  uint64_t count(std::string_view file, disk_operation on) const;

private:
  struct waiting_fault {
    disk_fault rule;
    uint64_t passed = 0;
    uint64_t hits = 0;
  };

  mutable std::mutex mutex_;
  std::vector<waiting_fault> faults_;
  std::optional<uint64_t> room_;
  // By path, then by operation.
  std::map<std::string, std::array<uint64_t, 7>, std::less<>> counts_;
};

} // namespace sluice::sqlite
