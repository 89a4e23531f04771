#include "runtime/sqlite/core/schema_inspection.hpp"

#include "messages/error.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/inspection.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/core/statement_analysis.hpp"
#include "runtime/sqlite/ledger/ledger_schema.hpp"

#include <functional>

namespace sluice::sqlite {

namespace {

constexpr uint64_t page_cache_bytes = 1U << 20;

template <class Result>
caf::expected<Result> look(const std::filesystem::path& path,
                           const std::function<caf::expected<Result>(const connection&)>& ask) {
  caf::expected<Result> result{caf::none};
  look_without_traces(path, [&](bool immutable) {
    connection_options way;
    way.page_cache_bytes = page_cache_bytes;
    way.immutable = immutable;
    auto db = connection::open(path, way);
    result = db ? ask(*db) : caf::expected<Result>{std::move(db.error())};
  });
  return result;
}

checked_statement check_on(statement_analyzer& analyzer, const sql_text& sql) {
  checked_statement result;
  auto prepared = analyzer.prepare(sql.str());
  if (!prepared) {
    result.refusal = describe(prepared.error()).message;
    return result;
  }
  result.reads_only = prepared->facts.read_only;
  result.changes_schema = prepared->facts.changes_schema;
  result.columns = prepared->stmt.column_names();
  return result;
}

// An unusable view makes the pragma fail; it has no columns then.
std::vector<described_column> columns_of(const connection& db, const std::string& table) {
  // Hidden columns are 1 in virtual tables, and 2 or 3 if they are generated.
  constexpr int64_t hidden = 1;
  std::vector<described_column> result;
  auto stmt = prepared_statement::prepare(
    db, "SELECT name, type, \"notnull\", pk, dflt_value, hidden FROM pragma_table_xinfo(?1) ORDER BY cid");
  if (!stmt)
    return result;
  stmt->bind_text(1, table);
  for (auto row = stmt->step(); row && *row; row = stmt->step()) {
    if (stmt->integer(5) == hidden)
      continue;
    described_column column;
    column.name = stmt->text(0);
    column.type = stmt->text(1);
    column.key_place = stmt->integer(3);
    column.is_nullable = stmt->integer(2) == 0;
    if (!stmt->is_null(4))
      column.default_value = std::string{stmt->text(4)};
    column.is_generated = stmt->integer(5) > hidden;
    result.push_back(std::move(column));
  }
  return result;
}

caf::expected<std::vector<described_table>> tables_of(const connection& db, size_t max_tables) {
  auto stmt = prepared_statement::prepare(db, "SELECT name, type FROM pragma_table_list WHERE schema = 'main' "
                                              "AND type IN ('table', 'view', 'virtual') ORDER BY name");
  if (!stmt)
    return std::move(stmt.error());
  std::vector<described_table> result;
  while (result.size() < max_tables) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      break;
    described_table table{std::string{stmt->text(0)}, std::string{stmt->text(1)}, {}};
    if (is_ledger_name(table.name) || table.name.starts_with("sqlite_"))
      continue;
    table.columns = columns_of(db, table.name);
    result.push_back(std::move(table));
  }
  return result;
}

} // namespace

caf::expected<std::vector<checked_statement>> check_statements(const std::filesystem::path& path,
                                                               std::span<const sql_text> statements) {
  using result_type = std::vector<checked_statement>;
  return look<result_type>(path, [&](const connection& db) -> caf::expected<result_type> {
    statement_analyzer analyzer{db};
    result_type result;
    for (const auto& sql : statements)
      result.push_back(check_on(analyzer, sql));
    return result;
  });
}

caf::expected<std::vector<described_table>> describe_tables(const std::filesystem::path& path, size_t max_tables) {
  return look<std::vector<described_table>>(path, [&](const connection& db) { return tables_of(db, max_tables); });
}

} // namespace sluice::sqlite
