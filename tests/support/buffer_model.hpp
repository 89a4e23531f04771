#pragma once

#include "messages/buffer.hpp"

#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace sluice::test {

/// A table for the property tests, with its keys and the columns that can be set.
struct sampled_table {
  std::string name;
  std::vector<std::vector<std::string>> keys;
  std::vector<std::string> columns;
};

struct sampled_schema {
  std::vector<std::string> sql;
  std::vector<sampled_table> tables;
  /// Further tables whose content reveals a wrong order.
  std::vector<std::string> witnesses{};
};

/// Schemas in which forbidden merging or reordering has a visible effect.
inline const std::vector<sampled_schema>& sampled_schemas() {
  static const std::vector<sampled_schema> all{
    {{"CREATE TABLE t(k INTEGER, l TEXT, a, b DEFAULT 7, PRIMARY KEY(k, l))"}, {{"t", {{"k", "l"}}, {"a", "b"}}}},
    {{"CREATE TABLE t(k TEXT PRIMARY KEY, a INT, b REAL, c TEXT DEFAULT 'x')"}, {{"t", {{"k"}}, {"a", "b", "c"}}}},
    {{"CREATE TABLE t(k TEXT COLLATE NOCASE PRIMARY KEY, a, b)"}, {{"t", {{"k"}}, {"a", "b"}}}},
    {{"CREATE TABLE t(k TEXT, a, b)", "CREATE UNIQUE INDEX i ON t(k COLLATE NOCASE)"}, {{"t", {{"k"}}, {"a", "b"}}}},
    {{"CREATE TABLE t(id INTEGER PRIMARY KEY, a, b DEFAULT (abs(-9223372036854775807 - 1)))"},
     {{"t", {{"id"}}, {"a", "b"}}}},
    {{"CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a)"}, {{"t", {{"id"}}, {"a"}}}, {"sqlite_sequence"}},
    {{"CREATE TABLE t(id INTEGER PRIMARY KEY, e TEXT UNIQUE, a, b)"}, {{"t", {{"id"}, {"e"}}, {"id", "e", "a", "b"}}}},
    {{"CREATE TABLE t(id INTEGER PRIMARY KEY, e TEXT UNIQUE DEFAULT 'a', a, b)"}, {{"t", {{"id"}, {"e"}}, {"a", "b"}}}},
    {{"CREATE TABLE t(k BLOB PRIMARY KEY, a NUMERIC, b BLOB) WITHOUT ROWID"}, {{"t", {{"k"}}, {"a", "b"}}}},
    {{"CREATE TABLE t(k PRIMARY KEY, a NOT NULL, b NOT NULL DEFAULT 3, c)"}, {{"t", {{"k"}}, {"a", "b", "c"}}}},
    {{"CREATE TABLE t(k REAL PRIMARY KEY, a, u UNIQUE, b UNIQUE DEFAULT 5)"}, {{"t", {{"k"}}, {"a", "u", "b"}}}},
    {{"CREATE TABLE t(k NUMERIC PRIMARY KEY, u, v, a, UNIQUE(u, v), UNIQUE(k, u) ON CONFLICT REPLACE)"},
     {{"t", {{"k"}, {"u", "v"}, {"k", "u"}}, {"k", "u", "v", "a"}}}},
    {{"CREATE TABLE t(k INT PRIMARY KEY, a CHECK(a IS NULL OR a <> 2), b)"}, {{"t", {{"k"}}, {"a", "b"}}}},
    {{"CREATE TABLE t(k INT PRIMARY KEY, a INT, b TEXT, c ANY) STRICT"}, {{"t", {{"k"}}, {"a", "b", "c"}}}},
    {{"CREATE TABLE t(k INT PRIMARY KEY, a, b, g AS (a || b) STORED)"}, {{"t", {{"k"}}, {"a", "b", "g"}}}},
    {{"CREATE TABLE t(k INT PRIMARY KEY, a, b)", "CREATE UNIQUE INDEX i ON t(a) WHERE b = 1",
      "CREATE UNIQUE INDEX j ON t(b + 1)"},
     {{"t", {{"k"}}, {"a", "b"}}}},
    {{"CREATE TABLE t(k INT PRIMARY KEY, a, b)", "CREATE TABLE log(op, k, a, b)",
      "CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO log VALUES('i', new.k, new.a, new.b); END",
      "CREATE TRIGGER u AFTER UPDATE ON t BEGIN INSERT INTO log VALUES('u', new.k, new.a, new.b); END",
      "CREATE TRIGGER d AFTER DELETE ON t BEGIN INSERT INTO log VALUES('d', old.k, old.a, old.b); END"},
     {{"t", {{"k"}}, {"a", "b"}}},
     {"log"}},
    {{"CREATE TABLE t(k INT PRIMARY KEY, a)", "CREATE TABLE p(k INT PRIMARY KEY, a, b)",
      "CREATE TRIGGER i AFTER INSERT ON t BEGIN UPDATE p SET a = new.a; END",
      "CREATE TRIGGER u AFTER UPDATE ON t BEGIN UPDATE p SET b = last_insert_rowid(); END",
      "CREATE TRIGGER d BEFORE DELETE ON t WHEN old.a = 1 BEGIN SELECT RAISE(ABORT, 'no'); END"},
     {{"t", {{"k"}}, {"a"}}, {"p", {{"k"}}, {"a", "b"}}}},
    {{"CREATE TABLE p(id INTEGER PRIMARY KEY, a)", "CREATE TABLE c(k INT PRIMARY KEY, p REFERENCES p(id), a)"},
     {{"p", {{"id"}}, {"a"}}, {"c", {{"k"}}, {"p", "a"}}}},
    {{"CREATE TABLE p(id INTEGER PRIMARY KEY, a)",
      "CREATE TABLE c(k INT PRIMARY KEY, p REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED, a)"},
     {{"p", {{"id"}}, {"a"}}, {"c", {{"k"}}, {"p", "a"}}}},
    {{"CREATE TABLE p(id INTEGER PRIMARY KEY, a)",
      "CREATE TABLE c(k INT PRIMARY KEY, p REFERENCES p(id) ON DELETE CASCADE, a)",
      "CREATE TABLE q(k TEXT PRIMARY KEY, a)"},
     {{"p", {{"id"}}, {"a"}}, {"c", {{"k"}}, {"p", "a"}}, {"q", {{"k"}}, {"a"}}}},
    {{"CREATE TABLE \"we \"\"ird\"(\"a b\" INT PRIMARY KEY, \"select\", \"ü\" DEFAULT 'it''s')"},
     {{"we \"ird", {{"a b"}}, {"select", "ü"}}}},
    {{"CREATE TABLE t(k INT PRIMARY KEY ON CONFLICT REPLACE, a NOT NULL ON CONFLICT REPLACE DEFAULT 9, b UNIQUE ON "
      "CONFLICT IGNORE)"},
     {{"t", {{"k"}}, {"a", "b"}}}},
  };
  return all;
}

/// Values that are equal in some columns and different in others, few enough to occur repeatedly.
inline value random_value(std::mt19937& dice) {
  static const std::vector<value> pool{
    1,   2,   3,   value{"1"}, value{"2"}, 1.0, 2.5,  value{"a"},       value{"A"},
    "b", 0.0, "",  " 1",       "1.0",      -1,  -0.0, value{blob{"a"}}, value{blob{"1"}},
    1,   2,   "a", "b",        {},         1,   2,    value{"9e2"},     900};
  return pool[dice() % pool.size()];
}

/// The keys that a sequence prefers: those that fit a column, so that operations have rows in common.
enum class key_style : uint8_t { integers, texts, reals, mixed };

inline key_style random_style(std::mt19937& dice, const sampled_schema& schema) {
  constexpr key_style styles[] = {key_style::integers, key_style::texts, key_style::reals, key_style::mixed};
  if (dice() % 4 == 0)
    return styles[dice() % 4];
  auto has = [&](const char* column) { return schema.sql[0].find(column) != std::string::npos; };
  return has("(k REAL") ? key_style::reals : has("(k TEXT") ? key_style::texts : key_style::integers;
}

inline value random_key(std::mt19937& dice, key_style style, const std::string& column) {
  // A second key of the same rows, so that one row can be named by two keys.
  if (column == "e" && style != key_style::mixed)
    style = key_style::texts;
  if (style == key_style::mixed || dice() % 16 == 0)
    return random_value(dice);
  auto n = static_cast<int64_t>(dice() % 3);
  if (style == key_style::texts)
    return std::string{"abA"[n]};
  return style == key_style::reals ? value{static_cast<double>(n) + 0.5} : value{n + 1};
}

inline buffer_put random_put(std::mt19937& dice, const sampled_schema& schema, key_style style) {
  const auto& table = schema.tables[dice() % schema.tables.size()];
  const auto& key = table.keys[dice() % table.keys.size()];
  buffer_put result;
  result.row.db = "app.db";
  result.row.table = table.name;
  result.agent = "agent" + std::to_string(dice() % 3);
  for (const auto& name : key)
    result.row.columns.push_back({name, random_key(dice, style, name)});
  result.operation = static_cast<buffer_operation>(dice() % 7 / 3);
  if (result.operation == buffer_operation::erase)
    return result;
  for (const auto& name : table.columns)
    if (std::find(key.begin(), key.end(), name) == key.end() && dice() % 3 > 0)
      result.values.push_back({name, name == "e" ? random_key(dice, style, name) : random_value(dice)});
  return result;
}

inline std::string text_of(const value& cell) {
  std::ostringstream out;
  out.precision(17);
  switch (cell.kind()) {
  case value_kind::null: out << "NULL"; break;
  case value_kind::integer: out << *cell.integer(); break;
  case value_kind::real: out << "r" << *cell.real(); break;
  case value_kind::text: out << "'" << *cell.text() << "'"; break;
  case value_kind::blob: out << "x'" << *cell.blob_bytes() << "'"; break;
  }
  return out.str();
}

inline std::string text_of(const buffer_put& put) {
  std::string result = std::string{to_string(put.operation)} + " " + put.row.table + " [";
  for (const auto& column : put.row.columns)
    result += " " + column.name + "=" + text_of(column.content);
  result += " ] {";
  for (const auto& assigned : put.values)
    result += " " + assigned.name + "=" + text_of(assigned.content);
  return result + " }";
}

} // namespace sluice::test
