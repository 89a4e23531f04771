#include "runtime/catalogue/operation_failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace sluice {

namespace {

constexpr std::string_view statement_prefix = "statement ";
constexpr std::string_view list_prefix = "statements ";

// Cuts `statement 3: ` off, and answers with the place from 0; nothing if `message` does not begin so.
std::optional<size_t> take_place(std::string_view& message) {
  auto rest = message;
  if (!rest.starts_with(statement_prefix))
    return std::nullopt;
  rest.remove_prefix(statement_prefix.size());
  size_t number = 0;
  auto [end, failed] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  if (failed != std::errc{} || number == 0 || !rest.starts_with(": "))
    return std::nullopt;
  message = rest.substr(2);
  return number - 1;
}

// Of the statement of a call that is at `place`, which counts through all sets of a batch.
std::string name_of(const operation& of, size_t place) {
  auto count = of.statements.size();
  const auto& statement = of.statements[place % count];
  return fmt::format("operation {}{}{} ({}:{})", of.name,
                     count > 1 ? fmt::format(", statement {}", place % count + 1) : std::string{},
                     of.kind == operation_kind::batch ? fmt::format(", params[{}]", place / count) : std::string{},
                     of.file, statement.line);
}

bool is_about_sql(errc code) { return code == errc::sql_error || code == errc::constraint || code == errc::conflict; }

} // namespace

failure failure_of_call(const operation& of, failure reason) {
  std::string_view message = reason.message;
  if (auto place = take_place(message))
    reason.message = fmt::format("{}: {}", name_of(of, *place), message);
  else if (message.starts_with(list_prefix))
    reason.message = fmt::format("params make a call of operation {} whose list of statements {}; give fewer sets of "
                                 "arguments",
                                 of.name, message.substr(list_prefix.size()));
  else if (is_about_sql(reason.code))
    reason.message = fmt::format("{}: {}", name_of(of, 0), message);
  return reason;
}

std::optional<failure> unfit_rows(const operation& of, const read_result& result) {
  if (of.columns.empty() || !result.rows)
    return std::nullopt;
  const auto& found = result.rows->columns();
  auto fits = [](const std::string& a, const operation_column& b) { return a == b.name; };
  if (std::equal(found.begin(), found.end(), of.columns.begin(), of.columns.end(), fits))
    return std::nullopt;
  std::string declared;
  for (const auto& each : of.columns)
    declared += (declared.empty() ? "" : ", ") + each.name;
  return make_failure(errc::sql_error, fmt::format("it gives {}, and {} is declared; correct one of them",
                                                   fmt::join(found, ", "), declared));
}

} // namespace sluice
