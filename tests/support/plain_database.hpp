#pragma once

#include "actors/buffer/table_schema.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "tests/support/temp_dir.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace sluice::test {

/// A database file without a broker, which executes requests as a writer does: each whole or not at all.
class plain_database {
public:
  explicit plain_database(const std::vector<std::string>& schema) {
    sqlite::connection_options options;
    options.mode = sqlite::open_mode::read_write_create;
    db_.emplace(must(sqlite::connection::open(folder_ / "app.db", options)));
    must(db_->exec("PRAGMA synchronous = OFF"));
    reset(schema);
  }

  /// The error if the request had no effect; empty if it had.
  std::optional<failure> execute(const std::vector<statement>& request) {
    // Rows that other statements inserted are not compared.
    sqlite3_set_last_insert_rowid(db_->handle(), 0);
    must(db_->exec("BEGIN"));
    std::optional<failure> error;
    for (const auto& each : request)
      if (auto done = run(each); !done && !error)
        error = describe(done.error());
    if (!error) {
      auto done = db_->exec("COMMIT");
      if (!done)
        error = describe(done.error());
    }
    if (db_->in_transaction() && error)
      must(db_->exec("ROLLBACK"));
    return error;
  }

  rowset query(const statement& stmt) { return must(run(stmt)); }
  caf::expected<rowset> try_query(const statement& stmt) { return run(stmt); }

  table_schema shape_of(const std::string& table) {
    return must(table_schema::read(table, query(table_schema::query(table)), false));
  }

  /// Every row, sorted, with the types of its values.
  std::vector<std::string> rows_of(const std::string& table, std::string (*text)(const value&)) {
    auto rows = query({"SELECT * FROM " + quoted(table), {}});
    std::vector<std::string> result;
    for (size_t i = 0; i < rows.size(); ++i) {
      std::string line;
      for (const auto& row : rows.row(i))
        line += text(row) + "|";
      result.push_back(std::move(line));
    }
    std::sort(result.begin(), result.end());
    return result;
  }

  /// Creates the tables in their initial state.
  void reset(const std::vector<std::string>& schema) {
    auto anew = schema_rows("type = 'trigger'").empty() == false || schema_rows("type = 'table'").empty();
    must(db_->exec("PRAGMA foreign_keys = OFF"));
    must(db_->exec("BEGIN"));
    for (const auto& name : schema_rows(anew ? "type = 'table' AND name NOT LIKE 'sqlite%'" : "type = 'table'"))
      must(db_->exec(((anew ? "DROP TABLE " : "DELETE FROM ") + quoted(name)).c_str()));
    for (size_t i = 0; anew && i < schema.size(); ++i)
      must(db_->exec(schema[i].c_str()));
    must(db_->exec("COMMIT"));
    must(db_->exec("PRAGMA foreign_keys = ON"));
  }

private:
  std::vector<std::string> schema_rows(const std::string& condition) {
    auto rows = query({"SELECT name FROM sqlite_schema WHERE " + condition, {}});
    std::vector<std::string> result;
    for (size_t i = 0; i < rows.size(); ++i)
      result.push_back(*rows.at(i, 0).text());
    return result;
  }

  template <class T> static T must(caf::expected<T> result) {
    if (!result)
      throw std::runtime_error(describe(result.error()).message);
    return std::move(*result);
  }

  static void must(const caf::expected<void>& result) {
    if (!result)
      throw std::runtime_error(describe(result.error()).message);
  }

  static std::string quoted(const std::string& name) {
    std::string result{"\""};
    for (auto c : name)
      result.append(c == '"' ? 2 : 1, c);
    return result + "\"";
  }

  caf::expected<rowset> run(const statement& statement) {
    auto stmt = sqlite::prepared_statement::prepare(*db_, statement.sql.str());
    if (!stmt)
      return std::move(stmt.error());
    int index = 0;
    for (const auto& v : statement.params.positional)
      stmt->bind(++index, v);
    for (const auto& v : statement.params.named)
      stmt->bind(++index, v.content);
    rowset rows{std::make_shared<const rowset::column_names>(stmt->column_names())};
    for (;;) {
      auto row = stmt->step();
      if (!row)
        return std::move(row.error());
      if (!*row)
        return rows;
      for (int i = 0; i < stmt->column_count(); ++i)
        rows.append(stmt->column(i));
    }
  }

  temp_dir folder_;
  std::optional<sqlite::connection> db_;
};

} // namespace sluice::test
