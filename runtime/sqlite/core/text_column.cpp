#include "runtime/sqlite/core/text_column.hpp"

#include "runtime/sqlite/core/statement.hpp"

namespace sluice::sqlite {

caf::expected<std::vector<std::string>> read_text_column(const connection& db, std::string_view sql) {
  auto stmt = prepared_statement::prepare(db, sql);
  if (!stmt)
    return std::move(stmt.error());
  std::vector<std::string> result;
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return result;
    result.emplace_back(stmt->text(0));
  }
}

} // namespace sluice::sqlite
