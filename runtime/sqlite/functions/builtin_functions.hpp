#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

struct sqlite3;
struct sqlite3_context;
struct sqlite3_stmt;
struct sqlite3_value;

namespace sluice::sqlite {

/// SQLite's own functions, for replacements that only check the arguments first: a connection without a file, opened by
/// the first call, in which nothing is replaced. Used by one thread at a time.
class builtin_functions {
public:
  /// Results beyond `max_bytes` are refused as too large.
  explicit builtin_functions(int max_bytes) : max_bytes_(max_bytes) {}

  /// Calls the function `name` and sets its result, or its error, in `context`. Loses a subtype. Returns whether there
  /// is a result that is not NULL.
  bool call(sqlite3_context* context, const char* name, int count, sqlite3_value** arguments);

private:
  struct closer {
    void operator()(sqlite3* db) const noexcept;
    void operator()(sqlite3_stmt* stmt) const noexcept;
  };

  sqlite3_stmt* statement(const char* name, int count);

  int max_bytes_;
  std::unique_ptr<sqlite3, closer> db_;
  std::map<std::pair<std::string, int>, std::unique_ptr<sqlite3_stmt, closer>> statements_;
};

} // namespace sluice::sqlite
