#include "runtime/sqlite/audit/audit_anchor.hpp"

#include "runtime/sqlite/core/statement.hpp"

#include <utility>

namespace sluice::sqlite {

caf::expected<std::optional<chain_anchor>> read_anchor(const connection& db) {
  auto tables = read_number(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'anchor'");
  if (!tables)
    return std::move(tables.error());
  if (*tables == 0)
    return std::optional<chain_anchor>{};
  auto stmt = prepared_statement::prepare(db, "SELECT seq, hash, records, pruned_us, key, signature FROM anchor");
  if (!stmt)
    return std::move(stmt.error());
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  if (!*row)
    return std::optional<chain_anchor>{};
  return std::optional{chain_anchor{stmt->integer(0), std::string{stmt->blob(1)}, stmt->integer(2), stmt->integer(3),
                                    std::string{stmt->blob(4)}, std::string{stmt->blob(5)}}};
}

caf::expected<void> write_anchor(const connection& db, chain_anchor anchor, const signing_key& key) {
  sign(anchor, "audit", key);
  auto stmt = prepared_statement::prepare(db, "INSERT OR REPLACE INTO anchor VALUES (1, ?, ?, ?, ?, ?, ?)");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, anchor.seq);
  stmt->bind_blob(2, anchor.hash);
  stmt->bind(3, anchor.records);
  stmt->bind(4, anchor.pruned_us);
  stmt->bind_blob(5, anchor.key);
  stmt->bind_blob(6, anchor.signature);
  return stmt->run();
}

std::filesystem::path anchor_key_path(const std::filesystem::path& audit) {
  auto result = audit;
  return result.replace_extension(".key");
}

} // namespace sluice::sqlite
