#include "runtime/sqlite/core/binding.hpp"

#include "runtime/sqlite/core/text_encoding.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cmath>

namespace sluice::sqlite {

namespace {

caf::error invalid(std::string why) { return make_error(errc::invalid_request, std::move(why)); }

const char* objection(const cached_statement& to, const value& x) noexcept {
  if (const auto* real = x.real(); real && std::isnan(*real))
    return " is not a number (NaN), which SQLite cannot store";
  if (const auto* text = x.text(); text && !fits_utf16(*text) && stores_utf16(sqlite3_db_handle(to.stmt.handle())))
    return " is not UTF-8, or holds U+FFFE or U+FFFF, which SQLite replaces in a UTF-16 database; send it as a blob";
  return nullptr;
}

caf::error wrong_count(const cached_statement& x, size_t given) {
  auto wanted = x.parameters.size();
  auto counted = [](size_t n, const std::string& noun) { return std::to_string(n) + " " + noun + (n == 1 ? "" : "s"); };
  auto why = "the statement has " + counted(wanted, "parameter") + ", and " + counted(given, "value")
             + (given == 1 ? " was given" : " were given");
  if (given > wanted)
    return invalid(why + "; superfluous from value " + std::to_string(wanted + 1));
  const auto& name = x.parameters[given];
  return invalid(why + "; missing from parameter " + (name.empty() ? std::to_string(given + 1) : "'" + name + "'"));
}

caf::error bind_positional(cached_statement& x, const std::vector<value>& values) {
  if (values.size() != x.parameters.size())
    return wrong_count(x, values.size());
  int index = 0;
  for (const auto& content : values) {
    if (const auto* why = objection(x, content))
      return invalid("value " + std::to_string(index + 1) + why);
    x.stmt.bind(++index, content);
  }
  return {};
}

using by_name = std::vector<const named_value*>;

caf::error sort_names(const cached_statement& to, const std::vector<named_value>& values, by_name& sorted) {
  for (const auto& x : values) {
    if (x.name.empty())
      return invalid("a value was given without a name");
    if (const auto* why = objection(to, x.content))
      return invalid("parameter '" + x.name + "'" + why);
    sorted.push_back(&x);
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
  auto twice = std::adjacent_find(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->name == b->name; });
  return twice == sorted.end() ? caf::error{} : invalid("parameter '" + (*twice)->name + "' was given twice");
}

caf::error bind_named(cached_statement& x, const std::vector<named_value>& values) {
  by_name sorted;
  if (auto why = sort_names(x, values, sorted))
    return why;
  std::vector<bool> used(sorted.size());
  int index = 0;
  for (const auto& name : x.parameters) {
    ++index;
    if (name.empty())
      return invalid("parameter " + std::to_string(index) + " has no name; give the values by position");
    auto found = std::lower_bound(sorted.begin(), sorted.end(), name,
                                  [](const auto* a, const std::string& b) { return a->name < b; });
    if (found == sorted.end() || (*found)->name != name)
      return invalid("parameter '" + name + "' is missing");
    used[static_cast<size_t>(found - sorted.begin())] = true;
    x.stmt.bind(index, (*found)->content);
  }
  auto idle = std::find(used.begin(), used.end(), false);
  if (idle == used.end())
    return {};
  return invalid("the statement has no parameter '" + sorted[static_cast<size_t>(idle - used.begin())]->name + "'");
}

} // namespace

caf::error bind_parameters(cached_statement& x, const parameters& params) {
  if (params.named.empty())
    return bind_positional(x, params.positional);
  if (!params.positional.empty())
    return invalid("values are given by position or by name, not both");
  return bind_named(x, params.named);
}

} // namespace sluice::sqlite
