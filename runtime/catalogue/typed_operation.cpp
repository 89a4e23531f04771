#include "runtime/catalogue/typed_operation.hpp"

#include "actors/base/nearest_name.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::detail {

namespace {

// A text may hold a JSON document.
bool fits(parameter_type field, parameter_type declared) {
  return field == parameter_type::any || field == declared
         || (field == parameter_type::text && declared == parameter_type::json);
}

caf::error unfit(const operation_signature& of, std::string_view why) {
  return make_error(errc::invalid_request, fmt::format("operation {} {}", of.name, why));
}

template <class Declared>
caf::error check_field(const operation_signature& of, std::string_view noun, const typed_field& field,
                       const std::vector<Declared>& declared) {
  auto found =
    std::find_if(declared.begin(), declared.end(), [&](const auto& each) { return each.name == field.name; });
  if (found != declared.end())
    return fits(field.type, found->type)
             ? caf::error{}
             : unfit(of, fmt::format("has the {} {} of type {}, and the field is of type {}", noun, field.name,
                                     to_string(found->type), to_string(field.type)));
  std::vector<std::string_view> known;
  for (const auto& each : declared)
    known.push_back(each.name);
  auto meant = nearest(field.name, known);
  return unfit(
    of, fmt::format("has no {} {}{}", noun, field.name, meant.empty() ? "" : fmt::format(", did you mean {}?", meant)));
}

caf::error check_argument_fields(const operation_signature& of, std::span<const typed_field> fields) {
  for (const auto& field : fields)
    if (auto reason = check_field(of, "parameter", field, of.parameters))
      return reason;
  for (const auto& each : of.parameters) {
    auto field = std::find_if(fields.begin(), fields.end(), [&](const auto& one) { return one.name == each.name; });
    if (each.nullable)
      continue;
    if (field == fields.end())
      return unfit(of, fmt::format("needs the parameter {}, and the arguments have no such field", each.name));
    if (field->nullable && field->type != parameter_type::any)
      return unfit(of, fmt::format("has the parameter {}, which cannot be NULL, and the field is optional", each.name));
  }
  return {};
}

caf::error check_row(const operation_signature& of, const std::vector<typed_field>& row) {
  if (of.columns.empty())
    return unfit(of, "declares no columns; write -- column lines for the fields of the row");
  for (const auto& field : row) {
    if (auto reason = check_field(of, "column", field, of.columns))
      return reason;
    auto column =
      std::find_if(of.columns.begin(), of.columns.end(), [&](const auto& one) { return one.name == field.name; });
    if (column->nullable && !field.nullable)
      return unfit(of, fmt::format("has the column {}, which may be NULL, and the field is not optional", field.name));
  }
  return {};
}

} // namespace

caf::error check_signature(const operation_signature& of, operation_kind kind, std::span<const typed_field> arguments,
                           const std::vector<typed_field>* row) {
  if (of.kind != kind)
    return unfit(of,
                 fmt::format("is a :{} operation, and was opened as :{}; choose the types of its arguments and result "
                             "for that",
                             to_string(of.kind), to_string(kind)));
  if (auto reason = check_argument_fields(of, arguments))
    return reason;
  return row ? check_row(of, *row) : caf::error{};
}

caf::expected<std::vector<size_t>> places_of(const operation_signature& of, const rowset& rows,
                                             std::span<const typed_field> row) {
  std::vector<size_t> result;
  const auto& columns = rows.columns();
  for (const auto& field : row) {
    auto found = std::find(columns.begin(), columns.end(), field.name);
    if (found == columns.end() && !columns.empty())
      return make_error(errc::sql_error, fmt::format("operation {} gives no column {}", of.name, field.name),
                        {.outcome = of.writes ? outcome::committed : outcome::not_committed});
    result.push_back(static_cast<size_t>(found - columns.begin()));
  }
  return result;
}

caf::error unfit_value(const operation_signature& of, std::string_view field, const value& found) {
  constexpr std::array<std::string_view, 5> kinds{"NULL", "an integer", "a real", "a text", "a blob"};
  return make_error(errc::sql_error,
                    fmt::format("operation {} gives {} in the column {}, which does not fit its field", of.name,
                                kinds[static_cast<size_t>(found.kind())], field),
                    {.outcome = of.writes ? outcome::committed : outcome::not_committed});
}

caf::error missing_row(const operation_signature& of) {
  return make_error(errc::conflict, fmt::format("operation {} gives no row", of.name),
                    {.outcome = of.writes ? outcome::committed : outcome::not_committed});
}

} // namespace sluice::detail
