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

/// Enforces foreign keys from now on, or no longer; works within a transaction, unlike the PRAGMA. Every prepared
/// statement is prepared anew when it runs next, and what an authorizer reported about it no longer holds.
/// @pre no violation is counted that waits for the end of the transaction
void enforce_foreign_keys(connection& db, bool enforces) noexcept;

/// Whether a deferred foreign key is not satisfied in the transaction that is open.
bool has_open_foreign_keys(const connection& db) noexcept;

/// The rows of a database that refer to no parent row, and the keys that cannot be checked at all.
class foreign_key_violations {
public:
  /// Reads every table that has foreign keys. `errc::too_large` when more than 100,000 rows violate one.
  static caf::expected<foreign_key_violations> find(const connection& db);

  /// Describes the first of `later` that is not here; nothing when there is none. A row that had a violation of a
  /// parent table may have one still.
  std::optional<std::string> first_new(const foreign_key_violations& later) const;

private:
  struct violation {
    std::string table;
    /// Nothing in a table WITHOUT ROWID, and for a key that cannot be checked.
    std::optional<int64_t> rowid;
    /// In a table WITHOUT ROWID the primary key and the columns of the foreign key, as SQL literals; the hash of these
    /// when they are long.
    std::string key;
    std::string parent;
    /// Why the table's keys cannot be checked; empty for a row.
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

/// Why DROP TABLE `table` is refused that would have changed rows of the tables `others`.
caf::error drop_would_cascade(const std::string& table, const std::vector<std::string>& others);

/// Why DROP TABLE `table` failed for rows that refer to it.
caf::error drop_violates(const std::string& table);

/// Of tables that a DROP TABLE `dropped` touched, those whose rows are another matter than the table itself.
std::vector<std::string> other_tables(std::vector<std::string> touched, const std::string& dropped);

} // namespace sluice::sqlite
