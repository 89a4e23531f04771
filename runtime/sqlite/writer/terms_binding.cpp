#include "runtime/sqlite/writer/terms_binding.hpp"

#include "actors/base/counted.hpp"
#include "actors/base/utf8_text.hpp"
#include "messages/error.hpp"
#include "runtime/sqlite/core/binding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <string>

namespace sluice::sqlite {

namespace {

using names = std::vector<std::string>;

std::string listed(const names& columns) {
  return columns.empty() ? "no columns" : escape_invalid_utf8(fmt::format("{}", fmt::join(columns, ", ")));
}

caf::error other_columns(const names& declared, const names& found) {
  return make_error(errc::sql_error, fmt::format("it gives {}, and {} is declared; correct one of them. Nothing of the "
                                                 "request is applied",
                                                 listed(found), listed(declared)));
}

caf::expected<value> returned_by(const std::vector<statement_result>& results, const returned_value& wanted) {
  assert(wanted.statements_back > 0 && wanted.statements_back < results.size());
  const auto& rows = results[results.size() - 1 - wanted.statements_back].rows;
  const auto& columns = rows.columns();
  auto column = std::find(columns.begin(), columns.end(), wanted.column);
  if (column == columns.end())
    return make_error(errc::sql_error, fmt::format("its parameter '{}' is the column '{}' of an earlier statement, "
                                                   "which gives {}; nothing of the request is applied",
                                                   wanted.parameter, wanted.column, listed(columns)));
  if (rows.size() != 1)
    return make_error(errc::conflict,
                      fmt::format("its parameter '{}' needs exactly one row of the earlier statement "
                                  "that returns it, which returned {}; nothing of the request is "
                                  "applied",
                                  wanted.parameter, rows.empty() ? "none" : counted(rows.size(), "row")));
  return rows.at(0, static_cast<size_t>(column - columns.begin()));
}

} // namespace

caf::error bind_on_terms(const statement& source, cached_statement& prepared,
                         const std::vector<statement_result>& results, parameters& kept) {
  const auto& terms = *source.terms;
  if (!terms.columns.empty() && terms.columns != *prepared.columns)
    return other_columns(terms.columns, *prepared.columns);
  if (terms.returned.empty())
    return bind_parameters(prepared, source.params);
  kept = source.params;
  for (const auto& each : terms.returned) {
    auto content = returned_by(results, each);
    if (!content)
      return std::move(content.error());
    kept.named.push_back({each.parameter, std::move(*content)});
  }
  return bind_parameters(prepared, kept);
}

} // namespace sluice::sqlite
