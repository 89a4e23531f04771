#include "actors/buffer/row_rules.hpp"

#include "messages/error.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace sluice {

namespace {

using places = std::set<size_t>;

caf::error invalid(std::string reason) { return make_error(errc::invalid_request, std::move(reason)); }

std::string list_of(const table_schema& shape, const std::vector<size_t>& columns) {
  std::string result;
  for (auto i : columns)
    result += (result.empty() ? "(" : ", ") + shape.columns()[i].name;
  return result + ")";
}

// Spells the names as the schema does, sorts by them, and finds the columns.
caf::error resolve(const table_schema& shape, std::vector<named_value>& columns, places& at) {
  for (auto& [name, content] : columns) {
    auto place = shape.find(name);
    if (!place)
      return invalid("the table '" + shape.name() + "' has no column '" + name + "'");
    if (!at.insert(*place).second)
      return invalid("the column '" + name + "' is given twice");
    name = shape.columns()[*place].name;
    if (content.real() && std::isnan(*content.real()))
      return invalid("the column '" + name + "' is given NaN, which SQLite cannot store");
  }
  std::sort(columns.begin(), columns.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return {};
}

const unique_columns* find_key(const table_schema& shape, const places& at) {
  for (const auto& key : shape.keys())
    if (places{key.columns.begin(), key.columns.end()} == at)
      return &key;
  return nullptr;
}

caf::error no_such_key(const table_schema& shape, const places& at) {
  std::string known;
  for (const auto& key : shape.keys())
    known += (known.empty() ? "" : ", ") + list_of(shape, key.columns);
  return invalid(list_of(shape, {at.begin(), at.end()})
                 + " is neither the primary key nor a unique index of the table '" + shape.name() + "', which has "
                 + (known.empty() ? "none" : known));
}

caf::expected<const unique_columns*> resolve_key(const table_schema& shape, std::vector<named_value>& columns,
                                                 places& at) {
  if (columns.empty())
    return invalid("the key of the row is missing");
  if (auto reason = resolve(shape, columns, at))
    return reason;
  for (const auto& [name, content] : columns)
    if (content.is_null())
      return invalid("the key column '" + name + "' is NULL, and NULL equals nothing");
  const auto* key = find_key(shape, at);
  if (!key)
    return no_such_key(shape, at);
  return key;
}

// Whether SQLite stores and compares the value of a key unchanged.
bool is_canonical(const column_schema& column, const value& cell, bool binary) {
  switch (column.affinity) {
  case affinity::integer:
  case affinity::numeric: return cell.integer() != nullptr;
  case affinity::real: return cell.real() && !(*cell.real() == 0 && std::signbit(*cell.real()));
  case affinity::text:
  case affinity::blob: break;
  }
  if (cell.text())
    return binary && cell.text()->find('\0') == std::string::npos;
  return column.affinity == affinity::blob && (cell.integer() || cell.blob_bytes());
}

bool is_canonical(const table_schema& shape, const unique_columns& key, const std::vector<named_value>& columns) {
  return std::all_of(columns.begin(), columns.end(), [&](const named_value& column) {
    return is_canonical(shape.columns()[*shape.find(column.name)], column.content, key.binary);
  });
}

// Rows that an upsert inserts without naming the columns of `other` cannot have equal values there.
bool new_rows_differ_in(const table_schema& shape, const unique_columns& other, const places& named) {
  return std::any_of(other.columns.begin(), other.columns.end(), [&](size_t i) {
    return named.count(i) == 0 && shape.columns()[i].by_default == column_schema::default_kind::null;
  });
}

bool is_free(const table_schema& shape, const unique_columns& key, const buffer_put& put, const places& key_places,
             const places& value_places) {
  if (!shape.plain() || !is_canonical(shape, key, put.row.columns))
    return false;
  if (put.operation == buffer_operation::erase)
    return true;
  for (const auto& [name, content] : put.values)
    if (content.is_null() && shape.columns()[*shape.find(name)].not_null)
      return false;
  auto upserts = put.operation == buffer_operation::upsert;
  for (const auto& other : shape.keys()) {
    if (&other == &key)
      continue;
    auto is_named = [&](size_t i) { return value_places.count(i) > 0; };
    if (std::any_of(other.columns.begin(), other.columns.end(), is_named))
      return false;
    // The order of new rows would decide which number each of them gets.
    if (upserts && (other.rowid || !new_rows_differ_in(shape, other, key_places)))
      return false;
  }
  for (size_t i = 0; upserts && i < shape.columns().size(); ++i) {
    const auto& column = shape.columns()[i];
    using kind = column_schema::default_kind;
    if (key_places.count(i) > 0 || value_places.count(i) > 0)
      continue;
    // SQLite checks NOT NULL before it looks for the row.
    if (column.by_default == kind::computed || (column.not_null && column.by_default == kind::null))
      return false;
  }
  return true;
}

} // namespace

caf::expected<checked_operation> check(const table_schema& shape, buffer_put put) {
  places key_places;
  places value_places;
  put.row.table = shape.name();
  auto key = resolve_key(shape, put.row.columns, key_places);
  if (!key)
    return std::move(key.error());
  if (auto reason = resolve(shape, put.values, value_places))
    return reason;
  for (auto i : value_places)
    if (key_places.count(i) > 0)
      return invalid("the column '" + shape.columns()[i].name + "' is part of the key and cannot be set as well");
  if (put.operation == buffer_operation::erase && !put.values.empty())
    return invalid("a delete takes no values");
  if (put.operation == buffer_operation::update && put.values.empty())
    return invalid("an update needs a value to set");
  checked_operation result;
  result.is_mergeable = is_free(shape, **key, put, key_places, value_places);
  result.needs_own_batch = shape.needs_own_batch();
  result.keeps_order = shape.keeps_order();
  result.put = std::move(put);
  return result;
}

caf::expected<checked_key> check(const table_schema& shape, row_key row) {
  places at;
  row.table = shape.name();
  auto key = resolve_key(shape, row.columns, at);
  if (!key)
    return std::move(key.error());
  auto canonical = is_canonical(shape, **key, row.columns);
  return checked_key{std::move(row), canonical, shape.keeps_order()};
}

std::optional<value> as_stored(const column_schema& column, const value& cell) {
  // Text in a numeric column may look like a number, and a number without a fraction may be stored as another type.
  switch (cell.kind()) {
  case value_kind::null:
  case value_kind::blob: return cell;
  case value_kind::text:
    return column.affinity == affinity::text || column.affinity == affinity::blob ? std::optional{cell} : std::nullopt;
  case value_kind::integer:
    if (column.affinity == affinity::text)
      return value{std::to_string(*cell.integer())};
    if (column.affinity == affinity::real)
      return value{static_cast<double>(*cell.integer())};
    return cell;
  case value_kind::real:
    if (column.affinity == affinity::blob || (column.affinity == affinity::real && *cell.real() != 0))
      return cell;
    return std::nullopt;
  }
  return std::nullopt;
}

} // namespace sluice
