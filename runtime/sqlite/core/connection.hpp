#pragma once

#include "runtime/store/config.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>

struct sqlite3;

namespace sluice::sqlite {

enum class open_mode : uint8_t {
  /// Reads an existing file in its present journal mode; never creates one, never checkpoints.
  read_only,
  /// Reads and writes; creates the file when it is missing, for its owner alone (0600), and makes it a WAL database.
  read_write_create,
};

/// The setup of a connection. Everything else is the same for all connections: extended result codes, foreign keys on,
/// temporary data in memory, defensive mode, no extensions, no double-quoted strings, no memory-mapped I/O.
struct connection_options {
  open_mode mode = open_mode::read_only;
  synchronous_mode synchronous = synchronous_mode::full;
  /// SQLite's own wait for a lock; at most 500 ms.
  std::chrono::milliseconds busy_timeout{500};
  uint64_t page_cache_bytes = 64ULL << 20;
  /// WAL pages after which a commit of this connection checkpoints; 0 leaves checkpoints to explicit calls.
  int auto_checkpoint_pages = 0;
  /// For `read_only`: the file does not change while it is open, so SQLite takes no lock, looks for no WAL, and creates
  /// no file.
  bool immutable = false;
};

/// An open database file. Owns the handle; move-only; used by one thread at a time. All its statements must be
/// destroyed before it.
class connection {
public:
  /// Opens `path`, through no symbolic link. `errc::invalid_request` when there is one, `unknown_database` when there
  /// is no such file (or, for writers, no such folder, or something that is not a file), `not_authorized` or
  /// `read_only` when the operating system refuses, `corrupt` when the file is not a database, `busy` when an external
  /// process holds it exclusively, `io_error` when the disk fails.
  ///
  /// With `synchronous_mode::full` it waits until everything that it may read is synced to the disk: WAL recovery
  /// considers the frames of a process that died in its COMMIT committed, although they may not have been synced.
  static caf::expected<connection> open(const std::filesystem::path& path, const connection_options& options);

  sqlite3* handle() const noexcept { return handle_.get(); }

  /// Executes one or more statements of the broker and ignores their rows. The errors of `to_error`.
  caf::expected<void> exec(const char* sql);

  /// Whether a transaction is open.
  bool in_transaction() const noexcept;

  /// Whether the path no longer leads to the open file, because someone moved, replaced or deleted it. One `stat`.
  bool file_moved() const noexcept;

  /// Whether the database is in WAL mode.
  bool is_in_wal_mode() const;

  /// From now on closing this connection neither checkpoints nor deletes the write-ahead log, which may belong to
  /// another file.
  void keep_wal_on_close() noexcept;

  /// Refuses larger values, rows and statements (SQLITE_TOOBIG), including those already in the file. Prepared
  /// statements stay valid.
  void limit_values(uint64_t bytes) noexcept;

  /// As in `connection_options`, from now on.
  void set_busy_timeout(std::chrono::milliseconds time) noexcept;

private:
  struct closer {
    void operator()(sqlite3* db) const noexcept;
  };

  explicit connection(sqlite3* db) : handle_(db) {}

  caf::expected<void> configure(const connection_options& options);
  caf::expected<void> use_wal();
  caf::expected<void> sync_existing_wal();

  std::unique_ptr<sqlite3, closer> handle_;
};

/// Executes `sql` of the broker in a transaction of its own, all or nothing. Errors as `exec`. @pre no transaction is
/// open
caf::expected<void> exec_atomically(connection& db, const char* sql);

/// Bounds the memory that SQLite allocates in this process, over all connections. Above `soft_bytes`, connections reuse
/// the memory of cached pages for new ones; a statement that needs more than `hard_bytes` fails with SQLITE_NOMEM. For
/// a process that is only a broker; thread-safe.
void limit_memory(uint64_t soft_bytes, uint64_t hard_bytes) noexcept;

} // namespace sluice::sqlite
