#include "runtime/catalogue/schema_check.hpp"

#include "actors/base/utf8_text.hpp"
#include "messages/error.hpp"
#include "runtime/catalogue/sql_facts.hpp"
#include "runtime/sqlite/core/schema_inspection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>

namespace sluice {

namespace {

using enum_state = enum schema_verdict::state;
using prepared_span = std::span<const sqlite::checked_statement>;

schema_verdict misfit(const operation& of, const operation_statement& where, const std::string& why) {
  return {enum_state::does_not_fit, fmt::format("{}:{}: {}", of.file, where.line, why)};
}

std::string names_text(const std::vector<std::string>& names) {
  return names.empty() ? "no columns" : escape_invalid_utf8(fmt::format("{}", fmt::join(names, ", ")));
}

// @param last of the statements that give rows
schema_verdict check_columns(const operation& of, const operation_statement& last,
                             const std::vector<std::string>& found) {
  std::vector<std::string> declared;
  for (const auto& each : of.columns)
    declared.push_back(each.name);
  if (declared.empty() || declared == found)
    return {enum_state::fits, {}};
  return misfit(
    of, last,
    fmt::format("it gives {}, and {} is declared; correct one of them", names_text(found), names_text(declared)));
}

schema_verdict check_returned(const operation& of, prepared_span statements) {
  for (size_t i = 0; i < of.statements.size(); ++i)
    for (const auto& each : of.statements[i].terms ? of.statements[i].terms->returned : std::vector<returned_value>{}) {
      const auto& columns = statements[i - each.statements_back].columns;
      if (std::find(columns.begin(), columns.end(), each.column) == columns.end())
        return misfit(of, of.statements[i - each.statements_back],
                      fmt::format("it gives {}, and not the column {} for the parameter {}", names_text(columns),
                                  each.column, each.parameter));
    }
  return {enum_state::fits, {}};
}

schema_verdict check_one(const operation& of, prepared_span statements) {
  auto last = of.statements.size();
  for (size_t i = 0; i < of.statements.size(); ++i) {
    const auto& now = statements[i];
    if (!now.refusal.empty())
      return misfit(of, of.statements[i], now.refusal);
    if (!now.reads_only && !of.writes())
      return misfit(of, of.statements[i], "it writes, and was taken for a read");
    if (now.changes_schema && of.statements.size() > 1)
      return {enum_state::not_checked, "it changes the schema that its other statements need"};
    if (!now.columns.empty())
      last = i;
  }
  if (auto returned = check_returned(of, statements); returned.state != enum_state::fits)
    return returned;
  if (last < of.statements.size())
    return check_columns(of, of.statements[last], statements[last].columns);
  return check_columns(of, of.statements.back(), {});
}

} // namespace

std::vector<schema_verdict> check_against_schema(const catalogue& operations, const store_root& root) {
  const auto& all = operations.operations();
  std::map<std::string, std::vector<size_t>> by_database;
  for (size_t i = 0; i < all.size(); ++i)
    by_database[all[i].database].push_back(i);
  std::vector<schema_verdict> result(all.size());
  for (const auto& [database, places] : by_database) {
    std::vector<sql_text> statements;
    for (auto i : places)
      for (const auto& each : all[i].statements)
        statements.push_back(each.sql);
    auto name = root.resolve(database);
    auto found = name ? sqlite::check_statements(root.path_of(*name), statements)
                      : caf::expected<std::vector<sqlite::checked_statement>>{std::move(name.error())};
    size_t at = 0;
    for (auto i : places) {
      result[i] = found ? check_one(all[i], prepared_span{*found}.subspan(at, all[i].statements.size()))
                        : schema_verdict{enum_state::not_checked, code_of(found.error()) == errc::unknown_database
                                                                    ? "the database " + database + " does not exist yet"
                                                                    : describe(found.error()).message};
      at += all[i].statements.size();
    }
  }
  return result;
}

} // namespace sluice
