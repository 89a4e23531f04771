#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sluice {

/// The version stamps of one database: for each table, the version of the database at which it last changed.
///
/// A read takes `now()` first; its answer stays valid while `changed_at(table) <= that version` for every table that it
/// read. While a COMMIT runs, the tables that it touches have the largest possible stamp, so that no answer about them
/// is valid until the outcome of the commit is known. Thread-safe; only the writer raises stamps.
class table_versions {
public:
  /// The version at which one table last changed, and whether an answer that depends on it was kept since the writer's
  /// last query.
  class stamp {
  public:
    uint64_t load() const noexcept { return version_.load(std::memory_order_acquire); }

    /// Called before an answer is kept, which must be checked once more after this call. So either the writer sees the
    /// note, or the check sees the writer's commit.
    void note_kept() const noexcept { is_kept_.store(true, std::memory_order_seq_cst); }

  private:
    friend class table_versions;

    std::atomic<uint64_t> version_{0};
    mutable std::atomic<bool> is_kept_{false};
  };

  /// The version of the database: grows with every commit.
  uint64_t now() const noexcept { return version_.load(std::memory_order_acquire); }

  /// Whether a COMMIT is running; a version taken now does not tell what a read will see.
  bool committing() const noexcept { return committing_.load(std::memory_order_acquire); }

  /// The stamp of `table`, which lives as long as this object. Table names compare without case, as SQLite's do.
  const stamp& changed_at(std::string_view table);

  /// The stamp that schema changes and external commits raise; every answer depends on it.
  const stamp& everything_changed_at() const noexcept { return everything_; }

  /// Invalidates every answer so far.
  void raise_everything();

  /// The newest commit that may have been acknowledged.
  uint64_t last_commit() const noexcept { return last_commit_.load(std::memory_order_acquire); }

  /// The highest number of an acknowledged commit, or of a commit in any file of this name.
  uint64_t highest_commit() const noexcept { return highest_commit_.load(std::memory_order_acquire); }

  /// Sets the last commit of the file when it is opened.
  void start_at(uint64_t commit_seq) noexcept;

private:
  friend class commit_window;

  void begin_commit(std::span<stamp* const> tables);
  bool end_commit(std::span<stamp* const> tables, uint64_t commit_seq);
  stamp& find_or_add(std::string_view table);

  std::atomic<uint64_t> version_{1};
  void set_last_commit(uint64_t commit_seq) noexcept;

  std::atomic<uint64_t> last_commit_{0};
  std::atomic<uint64_t> highest_commit_{0};
  std::atomic<bool> committing_{false};
  stamp everything_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::unique_ptr<stamp>> stamps_;
};

/// The time around one COMMIT in which the result of reading its tables is uncertain. Open it before COMMIT, close it
/// before any acknowledgement; the destructor closes it if a writer fails in between.
class commit_window {
public:
  commit_window(table_versions& versions, std::span<const std::string> tables, bool everything);

  commit_window(const commit_window&) = delete;
  commit_window& operator=(const commit_window&) = delete;
  ~commit_window() { close(); }

  /// The COMMIT took effect under this number.
  void committed(uint64_t commit_seq) noexcept { commit_seq_ = commit_seq; }

  void close() {
    if (versions_)
      concerns_kept_ = std::exchange(versions_, nullptr)->end_commit(tables_, commit_seq_);
  }

  /// After `close`: whether answers are kept that this commit may have invalidated.
  bool concerns_kept() const noexcept { return concerns_kept_; }

private:
  table_versions* versions_;
  std::vector<table_versions::stamp*> tables_;
  uint64_t commit_seq_ = 0;
  bool concerns_kept_ = false;
};

} // namespace sluice
