#pragma once

#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// Foreign keys of a connection, beyond what SQLite enforces by itself. Used by the connection's thread.
namespace sluice::sqlite {

/// Enables or disables foreign keys; works within a transaction, unlike the PRAGMA. SQLite prepares every statement
/// again when it runs next, and earlier reports of an authorizer about it are no longer valid.
/// @pre no counted violation waits for the end of the transaction
void enforce_foreign_keys(connection& db, bool enforces) noexcept;

/// Whether a deferred foreign key is violated in the open transaction.
bool has_open_foreign_keys(const connection& db) noexcept;

/// The rows of a database that refer to no parent row, and the keys that cannot be checked at all.
class foreign_key_violations {
public:
  /// Reads every table that has foreign keys. `errc::too_large` when more than 100,000 rows violate one.
  static caf::expected<foreign_key_violations> find(const connection& db);

  /// Describes the first violation of `later` that is not in this object; nothing when there is none. A row
  /// that already had a violation of a parent table may still have one.
  std::optional<std::string> first_new(const foreign_key_violations& later) const;

private:
  struct violation {
    std::string table;
    /// Empty in a table WITHOUT ROWID, and for a key that cannot be checked.
    std::optional<int64_t> rowid;
    /// In a table WITHOUT ROWID the primary key and the columns of the foreign key, as SQL literals; the hash of these
    /// when they are long.
    std::string key;
    std::string parent;
    /// The reason why the table's keys cannot be checked; empty for a row.
    std::string reason;

    friend auto operator<=>(const violation&, const violation&) = default;
  };

  static std::string describe(const violation& violation);
  caf::expected<void> check(const connection& db, const std::string& table);
  caf::expected<void> count_violating_rows(const connection& db, const violation& like, int64_t foreign_key,
                                           uint64_t count);

  std::map<violation, uint64_t> counts_;
  uint64_t total_ = 0;
};

/// The error for a DROP TABLE `table` that would have changed rows of the tables `others`.
caf::error drop_would_cascade(const std::string& table, const std::vector<std::string>& others);

/// The error for a DROP TABLE `table` that failed because rows refer to it.
caf::error drop_violates(const std::string& table);

/// The tables that a DROP TABLE `dropped` touched, without the table itself and tables of SQLite.
std::vector<std::string> other_tables(std::vector<std::string> touched, const std::string& dropped);

} // namespace sluice::sqlite
