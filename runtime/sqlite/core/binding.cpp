#include "runtime/sqlite/core/binding.hpp"

#include "actors/base/counted.hpp"
#include "runtime/sqlite/core/text_encoding.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cmath>

namespace sluice::sqlite {

namespace {

caf::error invalid(std::string reason) { return make_error(errc::invalid_request, std::move(reason)); }

const char* objection(const cached_statement& to, const value& cell) noexcept {
  if (const auto* real = cell.real(); real && std::isnan(*real))
    return " is not a number (NaN), which SQLite cannot store";
  if (const auto* text = cell.text(); text && !fits_utf16(*text) && stores_utf16(sqlite3_db_handle(to.stmt.handle())))
    return " is not UTF-8, or holds U+FFFE or U+FFFF, which SQLite replaces in a UTF-16 database; send it as a blob";
  return nullptr;
}

caf::error wrong_count(const cached_statement& prepared, size_t given) {
  auto wanted = prepared.parameters.size();
  auto reason = "the statement has " + counted(wanted, "parameter") + ", and " + counted(given, "value")
                + (given == 1 ? " was given" : " were given");
  if (given > wanted)
    return invalid(reason + "; superfluous from value " + std::to_string(wanted + 1));
  const auto& name = prepared.parameters[given];
  return invalid(reason + "; missing from parameter " + (name.empty() ? std::to_string(given + 1) : "'" + name + "'"));
}

caf::error bind_positional(cached_statement& prepared, const std::vector<value>& values) {
  if (values.size() != prepared.parameters.size())
    return wrong_count(prepared, values.size());
  int index = 0;
  for (const auto& content : values) {
    if (const auto* reason = objection(prepared, content))
      return invalid("value " + std::to_string(index + 1) + reason);
    prepared.stmt.bind(++index, content);
  }
  return {};
}

using by_name = std::vector<const named_value*>;

caf::error sort_names(const cached_statement& to, const std::vector<named_value>& values, by_name& sorted) {
  for (const auto& cell : values) {
    if (cell.name.empty())
      return invalid("a value was given without a name");
    if (const auto* reason = objection(to, cell.content))
      return invalid("parameter '" + cell.name + "'" + reason);
    sorted.push_back(&cell);
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
  auto twice = std::adjacent_find(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->name == b->name; });
  return twice == sorted.end() ? caf::error{} : invalid("parameter '" + (*twice)->name + "' was given twice");
}

caf::error bind_named(cached_statement& prepared, const std::vector<named_value>& values) {
  by_name sorted;
  if (auto reason = sort_names(prepared, values, sorted))
    return reason;
  std::vector<bool> used(sorted.size());
  int index = 0;
  for (const auto& name : prepared.parameters) {
    ++index;
    if (name.empty())
      return invalid("parameter " + std::to_string(index) + " has no name; give the values by position");
    auto found = std::lower_bound(sorted.begin(), sorted.end(), name,
                                  [](const auto* a, const std::string& b) { return a->name < b; });
    if (found == sorted.end() || (*found)->name != name)
      return invalid("parameter '" + name + "' is missing");
    used[static_cast<size_t>(found - sorted.begin())] = true;
    prepared.stmt.bind(index, (*found)->content);
  }
  auto idle = std::find(used.begin(), used.end(), false);
  if (idle == used.end())
    return {};
  return invalid("the statement has no parameter '" + sorted[static_cast<size_t>(idle - used.begin())]->name + "'");
}

} // namespace

caf::error bind_parameters(cached_statement& prepared, const parameters& params) {
  if (params.named.empty())
    return bind_positional(prepared, params.positional);
  if (!params.positional.empty())
    return invalid("values are given by position or by name, not both");
  return bind_named(prepared, params.named);
}

} // namespace sluice::sqlite
