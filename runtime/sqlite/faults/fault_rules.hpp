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
  /// Fails as a broken disk does, without effect.
  io_error,
  /// Fails as a disk without room does, without effect; as `io_error` where no room is needed: for all but `open`,
  /// `write` and `truncate`.
  full,
  /// Takes place, but later; a fault behind this one may hit the operation all the same.
  delay,
  /// The process dies before it takes place.
  kill_before,
  /// The process dies once it has taken place.
  kill_after,
  /// Fails as if another process held the lock, without effect; as `io_error` for all but `lock`. For a reader's lock
  /// on
  /// the WAL index SQLite asks again for up to ten seconds.
  busy,
};

/// A fault that waits for its moment.
struct disk_fault {
  /// How the path of the file ends, as in "app.db" or "app.db-wal"; empty means any file. Lead with a slash to tell
  /// "/app.db" from "myapp.db".
  std::string file;
  disk_operation on = disk_operation::write;
  disk_effect effect = disk_effect::io_error;
  /// Operations that pass unharmed before. Operations that an earlier fault makes fail do not count.
  uint64_t skip = 0;
  /// How many operations are hit; 0 means every one from then on.
  uint64_t times = 1;
  /// For `disk_effect::delay`.
  std::chrono::milliseconds delay{0};
};

/// The decision on one operation.
struct disk_verdict {
  /// To be waited for first.
  std::chrono::milliseconds delay{0};
  /// Never `delay`.
  std::optional<disk_effect> effect;
};

/// Decides which operation of a disk meets which fault, and counts operations. Knows no SQLite. Thread-safe.
class fault_rules {
public:
  /// Adds a fault; those added before come first when several could hit an operation.
  void inject(disk_fault fault);

  /// How many bytes more files may grow by, in all; nothing means any number.
  void set_room(std::optional<uint64_t> bytes);

  /// Whether growth is limited.
  bool is_bounded() const;

  /// Takes `bytes` from the room; false, and nothing taken, when there is less.
  bool take_room(uint64_t bytes);

  /// Removes all faults and bounds. The counts stay.
  void heal();

  /// Counts an operation and says what becomes of it. @param path empty for files without a name
  disk_verdict judge(std::string_view path, disk_operation on);

  /// How many operations have been judged on files whose paths end so.
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
