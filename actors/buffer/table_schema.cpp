#include "actors/buffer/table_schema.hpp"

#include "actors/base/sql_tokens.hpp"
#include "messages/error.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace sluice {

namespace {

// Each row begins with its kind. Returns all triggers and views of the database: any may affect the table.
constexpr std::string_view query_text = R"sql(
SELECT 'table' AS kind, type AS a, name AS b, wr AS c, strict AS d,
       (SELECT s.sql FROM sqlite_schema s WHERE s.name = l.name) AS e, NULL AS f
  FROM pragma_table_list(:table) l WHERE schema = 'main'
UNION ALL
SELECT 'column', name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(:table)
UNION ALL
SELECT * FROM (
  SELECT 'index', i.name, i."unique", i.origin, i.partial, x.name, x.coll
    FROM pragma_index_list(:table) i, pragma_index_xinfo(i.name) x WHERE x.key ORDER BY i.seq, x.seqno)
UNION ALL
SELECT 'foreign', m.name, f."table", m.sql, NULL, NULL, NULL
  FROM sqlite_schema m, pragma_foreign_key_list(m.name) f
 WHERE m.type = 'table' AND (m.name = :table COLLATE NOCASE OR f."table" = :table COLLATE NOCASE)
UNION ALL
SELECT type, name, tbl_name, sql, NULL, NULL, NULL FROM sqlite_schema WHERE type IN ('trigger', 'view')
)sql";

std::string_view text_of(const value& cell) {
  return cell.text() ? std::string_view{*cell.text()} : std::string_view{};
}

int64_t number_of(const value& cell) { return cell.integer() ? *cell.integer() : 0; }

bool contains_word(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

bool is_quoted_text(std::string_view text) {
  if (text.size() < 2 || text.front() != '\'' || text.back() != '\'')
    return false;
  // A single quote inside would end the text, and more would follow; inside, quotes are doubled.
  for (size_t i = 1; i + 1 < text.size(); ++i)
    if (text[i] == '\'' && (++i + 1 >= text.size() || text[i] != '\''))
      return false;
  return true;
}

bool is_number(std::string_view text) {
  if (!text.empty() && (text.front() == '-' || text.front() == '+'))
    text.remove_prefix(1);
  constexpr std::string_view digits = "0123456789abcdefABCDEFxX.";
  return !text.empty() && text.front() >= '0' && text.front() <= '9'
         && text.find_first_not_of(digits) == std::string_view::npos;
}

column_schema::default_kind kind_of_default(const value& cell) {
  using kind = column_schema::default_kind;
  if (cell.is_null())
    return kind::null;
  auto text = text_of(cell);
  auto word = folded_name(text);
  if (word == "null")
    return kind::null;
  // Values of the clock are the same for all rows of a flush, as if they were put one by one at that moment.
  constexpr std::array<std::string_view, 5> constants{"true", "false", "current_time", "current_date",
                                                      "current_timestamp"};
  if (std::find(constants.begin(), constants.end(), word) != constants.end() || is_number(text) || is_quoted_text(text)
      || (word.starts_with('x') && is_quoted_text(text.substr(1))))
    return kind::constant;
  return kind::computed;
}

} // namespace

affinity affinity_of(std::string_view declared_type) {
  auto type = folded_name(declared_type);
  auto has = [&](std::string_view part) { return contains_word(type, part); };
  if (has("int"))
    return affinity::integer;
  if (has("char") || has("clob") || has("text"))
    return affinity::text;
  if (type.empty() || has("blob"))
    return affinity::blob;
  if (has("real") || has("floa") || has("doub"))
    return affinity::real;
  return affinity::numeric;
}

// Collects the rows of the answer one by one.
struct table_schema::builder {
  struct index {
    bool unique = false;
    bool partial = false;
    bool primary = false;
    bool expressions = false;
    bool binary = true;
    std::vector<std::string> columns;
  };

  explicit builder(std::string_view table) : folded(folded_name(table)) {}

  void take(std::span<const value> row);
  void take_table(std::span<const value> row);
  void take_column(std::span<const value> row);
  void take_index(std::span<const value> row);
  void take_trigger(std::span<const value> row);
  void finish();
  void add_keys();

  std::string folded;
  table_schema result;
  std::string type;
  bool without_rowid = false;
  std::map<int64_t, size_t> primary_key;
  std::map<std::string, index, std::less<>> indexes;
  bool collates = false;
  bool any_trigger = false;
  bool seen_in_view = false;
  bool asks_connection = false;
};

void table_schema::builder::take(std::span<const value> row) {
  auto kind = text_of(row[0]);
  if (kind == "table")
    take_table(row);
  else if (kind == "column")
    take_column(row);
  else if (kind == "index")
    take_index(row);
  else if (kind == "trigger")
    take_trigger(row);
  else if (kind == "view")
    seen_in_view |= mentions(words_of(text_of(row[3])), folded);
  else if (kind == "foreign") {
    result.keeps_order_ = true;
    result.needs_own_batch_ |= has_keyword(words_of(text_of(row[3])), "deferred");
  }
}

void table_schema::builder::take_table(std::span<const value> row) {
  type = text_of(row[1]);
  result.name_ = text_of(row[2]);
  without_rowid = number_of(row[3]) != 0;
  auto words = words_of(text_of(row[5]));
  collates = has_keyword(words, "collate");
  result.plain_ &= number_of(row[4]) == 0 && !has_keyword(words, "check") && !has_keyword(words, "autoincrement");
}

void table_schema::builder::take_column(std::span<const value> row) {
  if (auto place = number_of(row[5]); place > 0)
    primary_key[place] = result.columns_.size();
  result.plain_ &= number_of(row[6]) == 0;
  result.columns_.push_back(
    {std::string{text_of(row[1])}, affinity_of(text_of(row[2])), number_of(row[3]) != 0, kind_of_default(row[4])});
}

void table_schema::builder::take_index(std::span<const value> row) {
  auto& index = indexes[std::string{text_of(row[1])}];
  index.unique = number_of(row[2]) != 0;
  index.primary = text_of(row[3]) == "pk";
  index.partial = number_of(row[4]) != 0;
  index.expressions |= row[5].is_null();
  index.binary &= folded_name(text_of(row[6])) == "binary";
  index.columns.emplace_back(text_of(row[5]));
}

void table_schema::builder::take_trigger(std::span<const value> row) {
  auto words = words_of(text_of(row[3]));
  any_trigger = true;
  result.keeps_order_ |= folded_name(text_of(row[2])) == folded || mentions(words, folded);
  asks_connection |=
    mentions(words, "last_insert_rowid") || mentions(words, "changes") || mentions(words, "total_changes");
}

void table_schema::builder::add_keys() {
  auto primary_index = false;
  for (const auto& [name, index] : indexes) {
    result.plain_ &= !index.partial && !index.expressions;
    primary_index |= index.primary;
    if (!index.unique || index.partial || index.expressions)
      continue;
    unique_columns key;
    for (const auto& column : index.columns)
      if (auto place = result.find(column))
        key.columns.push_back(*place);
    // An index may compare differently than its column, and the statement uses both.
    key.binary = index.binary && !collates;
    if (key.columns.size() == index.columns.size())
      result.keys_.push_back(std::move(key));
  }
  if (primary_key.size() == 1 && !without_rowid && !primary_index)
    result.keys_.push_back({{primary_key.begin()->second}, true, true});
}

void table_schema::builder::finish() {
  add_keys();
  // A trigger may read or write a view, and through it the table.
  result.keeps_order_ |= any_trigger && seen_in_view;
  result.plain_ &= !result.keeps_order_;
  result.needs_own_batch_ |= asks_connection && !result.plain_;
}

statement table_schema::query(const std::string& table) {
  // Never destroyed: brokers that are static objects use it until their end.
  static const auto& sql = *new sql_text{query_text};
  return {sql, std::vector<named_value>{{"table", value{table}}}};
}

caf::expected<table_schema> table_schema::read(const std::string& table, const rowset& answer, bool cut) {
  if (cut)
    return make_error(errc::too_large, "the schema of this database is larger than a read may be");
  builder builder{table};
  for (size_t i = 0; i < answer.size(); ++i)
    builder.take(answer.row(i));
  if (builder.type.empty())
    return make_error(errc::sql_error, "no such table: " + table);
  if (builder.folded.starts_with("_sluice_") || builder.folded.starts_with("sqlite_"))
    return make_error(errc::not_authorized, "the table '" + table + "' belongs to the broker or to SQLite");
  if (builder.type != "table")
    return make_error(errc::invalid_request,
                      "'" + table + "' is no ordinary table (" + builder.type + "), and the buffer writes to no other");
  builder.finish();
  return std::move(builder.result);
}

std::optional<size_t> table_schema::find(std::string_view column) const {
  auto wanted = folded_name(column);
  for (size_t i = 0; i < columns_.size(); ++i)
    if (folded_name(columns_[i].name) == wanted)
      return i;
  return std::nullopt;
}

} // namespace sluice
