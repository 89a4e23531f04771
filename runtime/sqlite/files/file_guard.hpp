#pragma once

#include "actors/writer/write_store.hpp"
#include "runtime/os/open_files.hpp"
#include "runtime/sqlite/files/database_files.hpp"
#include "runtime/store/file_registry.hpp"

#include <caf/expected.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct sqlite3;

namespace sluice::sqlite {

class file_claims;
struct wal_index;

/// A change to the files of a database by another program.
enum class file_change : uint8_t {
  /// Another file is at the path (rename, restore, checkout).
  replaced,
  /// The same file has other content, which no SQLite connection has written (`cp` over it).
  overwritten,
  /// No file is at the path.
  deleted,
  /// The write-ahead log or its index was removed or replaced; the log's content was saved and put back.
  log_restored,
  /// The write-ahead log or its index was removed or replaced, and its content could not be put back: another program
  /// has begun a new log (the old content is in `.sluice/set-aside/`), or the log was cut short.
  log_lost,
  /// The database or its write-ahead log was changed while no broker ran.
  changed_while_closed,
  /// The file was written, but its header is unchanged and the log is empty: connections are reopened.
  touched,
};

inline constexpr std::array all_file_changes{
  file_change::replaced, file_change::overwritten,          file_change::deleted, file_change::log_restored,
  file_change::log_lost, file_change::changed_while_closed, file_change::touched};

std::string_view to_string(file_change change) noexcept;

/// Records which files the connections of this process to one database use (database, write-ahead log, its index), and
/// checks them before each transaction and query, and before a commit is acknowledged. When the path leads to other
/// files, it closes all connections, moves the log of the old files away from the new ones, and lets the connections be
/// opened again.
///
/// It also detects commits of other programs, by the transaction counter in the log's index.
///
/// Shared by the writer and the readers of a database; thread-safe. Opens no file that a connection of this process has
/// open, except through that connection.
class file_guard {
public:
  /// The owner of a connection, which it uses only between `enter` and `leave`. At other times the guard may take the
  /// connection.
  class user {
  public:
    user() = default;
    user(const user&) = delete;
    user& operator=(const user&) = delete;
    virtual ~user() = default;

    /// The connection, or null.
    virtual sqlite3* handle() const noexcept = 0;
    /// Releases the connection and everything that depends on it; destroying the result closes it, without a
    /// checkpoint. Called under a lock: must not wait for the disk.
    virtual std::shared_ptr<void> release() noexcept = 0;
    /// Whether this is the writer, which may checkpoint. The guard does not interrupt the writer while it is in use; it
    /// interrupts readers, which begin again.
    virtual bool is_writer() const noexcept = 0;

  private:
    friend class file_guard;
    bool in_use_ = false;
    bool is_open_ = false;
    uint64_t generation_ = 0;
  };

  struct settings {
    /// The database.
    std::filesystem::path path;
    /// Its name in the store.
    std::string name;
    /// The folder for logs whose database is gone; may be missing. Empty for the folder of the database.
    std::filesystem::path kept_logs;
    /// Called before the database is opened: fails when its name no longer leads to `path`. May be empty.
    std::function<caf::error()> resolve;
    /// May be null.
    std::shared_ptr<file_registry> registry;
    /// May be null.
    std::shared_ptr<file_claims> claims;
    /// May be null: then any number of files may be open.
    std::shared_ptr<open_files> descriptors;
    /// The time for the names of kept logs. May be empty.
    std::function<int64_t()> now_us;
    /// As in `database_files`.
    std::chrono::nanoseconds quiet_time = std::chrono::seconds{2};
  };

  explicit file_guard(settings options);
  explicit file_guard(std::filesystem::path path) : file_guard(of(std::move(path))) {}
  file_guard(const file_guard&) = delete;
  file_guard& operator=(const file_guard&) = delete;
  ~file_guard();

  const std::string& name() const noexcept { return set_.name; }

  /// Closes the connections to files that are not at the path any more, unless they are in use.
  void close_moved_files();

  /// Called before the last commit of the file is read without a connection of the users. If another file is at the
  /// path later, the guard reports it as a replacement.
  void expect_file() noexcept;

  void join(user& user);
  /// Takes the connection of `user` when its log was removed and could not be saved yet. @pre `user` is not in use
  void part(user& user) noexcept;

  /// Called before `user` is used: takes its connection if that belongs to replaced files. `errc::file_replaced` when
  /// the database was overwritten in place, which may still be going on; `busy` while other connections to the old
  /// files are in use; `io_error` when the content of a removed log cannot be saved. On success, the caller must call
  /// `leave` later.
  caf::expected<void> enter(user& user);
  void leave(user& user) noexcept;

  /// Called before a file is opened: fails when the name no longer leads to it. Moves a log of another file away.
  caf::expected<void> check_place();
  /// As `check_place`, before a connection is opened for longer. Claims the file, so that no other broker opens it
  /// (`file_claims`).
  caf::expected<void> before_open();
  /// Called before a connection is opened: takes its descriptors, which the caller keeps with the connection. `busy` as
  /// `open_files::open`.
  caf::expected<open_files::share> take_descriptors();
  /// As `open_files::explain`.
  caf::error explain(caf::error error) const;

  /// A request begins that will use a connection.
  void begin_request() noexcept { use_->begin(); }
  /// Whether to close the files, because they are unused and descriptors are short.
  bool is_to_be_closed() const noexcept { return use_->is_to_be_closed(); }

  /// `user` has opened its connection and read from it. `busy` when the files were replaced meanwhile: the caller must
  /// close it again.
  caf::expected<void> opened(user& user);

  /// `user` has closed its connection.
  void closed(user& user) noexcept;
  bool is_open(const user& user) const noexcept;

  /// Whether another connection of this broker to the database is open, or being opened.
  bool is_open_elsewhere(const user& user) const noexcept;

  /// Closes the connection of `user`, which is in use, in order by calling `close`, although the broker continues. If
  /// it was the last one, the files are compared when the next one is opened: a commit in between is an external one.
  void close_idle(user& user, const std::function<void()>& close);
  /// Closes the connection of a reader that is not in use, as above.
  void close_idle(user& user) noexcept;

  /// Closes the folder, which stays open for faster lookups, until the next lookup.
  void release_folder() noexcept { at_path_.forget(); }

  /// The number of commits of other programs, as `see_commits` returns it.
  uint64_t external_commits() const noexcept;

  /// Whether the connection of `user`, which is in use, still leads to the files at the path. If not, the caller closes
  /// it without a checkpoint; as in `file_change`, the guard may have saved the log. With `unsaved` the caller keeps it
  /// open: only this connection has the log, whose content could not be saved yet.
  enum class verdict : uint8_t { intact, log_restored, unsaved, gone };
  verdict verify(user& user);

  /// `user` has moved the log into the database.
  void checkpointed(user& user) noexcept;

  /// Whether the connection of `user` belongs to the files at the path. @pre in use
  bool is_current(const user& user) const noexcept;

  /// The writer is about to commit, with the write lock held: the next transaction will be its own.
  void expect_commit(sqlite3* db) noexcept;
  /// The COMMIT announced by `expect_commit` has failed.
  void forget_commit() noexcept { add_own_changes(-1); }
  /// A COMMIT that seemed to have failed took effect, or the writer made another one.
  void add_commit() noexcept { add_own_changes(1); }
  /// Reads the index, and returns the number of commits of other programs since the broker started. The first call
  /// returns 0. With the write lock held the number is exact; without it, a commit of the broker may be under way.
  /// @pre `db` is in WAL mode, and has read
  uint64_t see_commits(sqlite3* db, bool has_write_lock) noexcept;
  /// A program has committed to a database with a rollback journal; returns the number as above.
  uint64_t note_external_commit() noexcept;

  /// Whether the database was replaced since the last call, so that the caller must read its last commit.
  bool take_replaced() noexcept;
  bool is_replaced() const noexcept;

  /// The commits of other programs, and the changes to the files, since the last call.
  bool take_external_commit() noexcept;
  bool has_external_commit() const noexcept;
  std::vector<file_event> take_events();

  /// As in `database_files`.
  bool relies_on_folder() const noexcept { return at_path_.relies_on_folder(); }

  /// The broker has closed the database in order: records the state of the files for the next broker.
  void note_closed();

private:
  // The database file as a connection sees it, to tell a checkpoint from an overwritten file.
  struct state {
    std::string head;
    uint32_t moved = 0;
    uint32_t attempted = 0;
    std::array<uint32_t, 2> salt{};
    uint32_t round = 0;
  };

  static settings of(std::filesystem::path path);
  caf::error refuse_links() const;
  void save_held_log();
  std::filesystem::path log_path() const { return set_.path.native() + "-wal"; }
  std::filesystem::path index_path() const { return set_.path.native() + "-shm"; }
  static caf::error overwritten_error(const std::string& name);
  caf::error busy() const;
  caf::error claim(const found_files& now);
  static state state_of(sqlite3* db, bool has_log) noexcept;
  std::pair<found_files, state> look(sqlite3* db) noexcept;
  std::optional<file_change> compare(const found_files& now) const noexcept;
  std::optional<file_change> compare_again(found_files& now) noexcept;
  bool looks_written(const found_files& now) const noexcept;
  caf::expected<void> admit(user& user, std::unique_lock<std::mutex>& lock);
  std::optional<file_change> diagnose(found_files& now, const user& user, sqlite3* db,
                                      std::unique_lock<std::mutex>& lock);
  std::optional<file_change> look_for_other_content(sqlite3* db);
  void remember(const found_files& now, state seen) noexcept;
  void note_restored_log();
  void note_round(const found_files& now, sqlite3* db, std::unique_lock<std::mutex>& lock);
  caf::expected<file_change> change(file_change kind, const found_files& now, user& self,
                                    std::unique_lock<std::mutex>& lock);
  caf::expected<file_change> rescue_log(sqlite3* db);
  sqlite3* find_holder(const user& self, bool writer_only) noexcept;
  std::vector<std::shared_ptr<void>> take_others(const user& self) noexcept;
  std::string put_companions_away(file_change kind, const found_files& now, const found_files& was, sqlite3* db);
  std::string remove_companions(const found_files& now, const found_files& was, bool is_log_moved);
  std::filesystem::path kept_log_path(const std::filesystem::path& file) const;
  bool has_log_of_another() const;
  void compare_with_record(const found_files& now);
  void note_files(bool closed, const found_files& found, const state& seen) const;
  void note_replaced() noexcept;
  void record_event(file_change kind, std::string text);
  void note_restarted_log(sqlite3* db, const wal_index& index) noexcept;
  void add_own_changes(int by) noexcept;
  void count_external_commit() noexcept {
    ++external_commits_;
    external_commit_ = true;
  }

  const settings set_;
  const std::shared_ptr<file_use> use_ = std::make_shared<file_use>(set_.name);
  mutable database_files at_path_;
  mutable std::mutex mutex_;
  std::vector<user*> users_;
  // Connections to earlier files have a smaller number.
  uint64_t generation_ = 1;
  // A thread is closing connections and moving files, without the mutex.
  bool changing_ = false;
  // A connection to files that are no longer at the path, until their content is saved.
  std::shared_ptr<void> holder_;
  sqlite3* holder_db_ = nullptr;
  std::optional<found_files> known_;
  // The size of the log at the last check of the writer.
  uint64_t log_bytes_ = 0;
  // The file that contains the newest known commit, even without a connection.
  std::optional<file_identity> expected_;
  state state_;
  bool compared_with_record_ = false;
  // The database is closed; the last connection recorded its state.
  bool is_resting_ = false;
  std::optional<uint32_t> own_changes_;
  uint64_t external_commits_ = 0;
  bool replaced_ = false;
  bool external_commit_ = false;
  std::vector<file_event> events_;
};

} // namespace sluice::sqlite
