#pragma once

#include "messages/audit.hpp"
#include "runtime/sqlite/ledger/ledger_reader.hpp"
#include "tests/simulation/model.hpp"

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

struct sqlite3;

namespace sluice::simulation {

/// The content of a database file that no other connection uses.
struct database_content {
  bool exists = false;
  std::vector<sqlite::ledger_commit> commits;
  /// The records of commits up to this one were removed.
  uint64_t removed_until = 0;
  /// The number before the first one of the ledger's epoch: reads in the epoch are as of this commit at least.
  uint64_t epoch_follows = 0;
  /// The result of checking the whole chain.
  std::optional<audit_verdict> chain;
  /// The answers to the queries without a key; empty where the statement fails.
  std::array<std::optional<std::string>, questions> answers;
  /// The stored idempotency keys.
  std::vector<std::string> keys;
  std::map<int64_t, buffered_cells> rows;
  int64_t foreign = 0;
  /// The result of SQLite's own check; "ok" when it finds no error.
  std::string integrity;
  std::string trouble;
};

database_content look_into(const std::filesystem::path& path);

/// Adds the commits whose records were removed from the ledger of `db`, as the audit has them.
void add_removed_commits(database_content& content, const std::string& db, const std::vector<audit_record>& audit);

/// The result of SQLite's check of a file; "ok" also when there is none.
std::string integrity_of(const std::filesystem::path& path);

/// Everything in an audit file, whether or not its chain is whole.
caf::expected<std::vector<audit_record>> audit_records(const std::filesystem::path& path);

/// The newest commit in a file; 0 when there is none.
uint64_t newest_commit(const std::filesystem::path& path);

/// Copies a database and its WAL as they are, as `cp` does, or removes such a copy. False when that fails, or when the
/// database changed meanwhile, so that the copy is not consistent.
bool copy_database(const std::filesystem::path& from, const std::filesystem::path& to);
void remove_database(const std::filesystem::path& path);

/// Makes a consistent copy of a database, as VACUUM INTO does; and puts one in the place of a database, renamed over it
/// or copied over its content. False when that fails.
bool back_up(const std::filesystem::path& from, const std::filesystem::path& to);
bool put_in_place(const std::filesystem::path& from, const std::filesystem::path& to, bool overwrites);

/// A program that opens a database without the broker.
class external_process {
public:
  explicit external_process(std::filesystem::path path) : path_(std::move(path)) {}
  external_process(const external_process&) = delete;
  external_process& operator=(const external_process&) = delete;
  ~external_process() { release(); }

  /// Takes the write lock; false when it is not available.
  bool lock();
  bool locks() const noexcept { return db_ != nullptr; }

  /// Increments a counter in a table of its own, commits and releases the lock. False when that failed.
  bool commit();
  void release();

private:
  std::filesystem::path path_;
  sqlite3* db_ = nullptr;
};

} // namespace sluice::simulation
