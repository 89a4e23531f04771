#pragma once

#include "messages/statement.hpp"
#include "messages/value.hpp"
#include "runtime/policy/tier.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Operations: SQL with a name and typed parameters, which agents call instead of sending SQL. Plain data; the file
/// format is in docs/guides/operations.md.
namespace sluice {

/// What an operation answers: the number of changed rows, one row or none, all rows, or, applied to a list of parameter
/// sets in one transaction, the number of changed rows.
enum class operation_kind : uint8_t { exec, one, many, batch };

inline constexpr std::array<std::string_view, 4> operation_kind_names{"exec", "one", "many", "batch"};

constexpr std::string_view to_string(operation_kind kind) { return operation_kind_names[static_cast<size_t>(kind)]; }

/// What a parameter or a column holds. `json` is text that is a JSON document.
enum class parameter_type : uint8_t { integer, real, text, blob, json, any };

inline constexpr std::array<std::string_view, 6> parameter_type_names{"integer", "real", "text", "blob", "json", "any"};

constexpr std::string_view to_string(parameter_type type) { return parameter_type_names[static_cast<size_t>(type)]; }

/// The most bytes that the name of an operation or of a parameter may have.
inline constexpr size_t max_operation_name_bytes = 64;

/// The most parameters, and the most declared columns, that an operation may have.
inline constexpr size_t max_operation_parameters = 1'000;

/// Operations with such names are tools of the broker itself.
inline constexpr std::string_view reserved_operations = "sluice";

/// Whether `name` may be that of an operation or a parameter: `[a-z][a-z0-9_]*`, at most 64 bytes.
constexpr bool is_operation_name(std::string_view name) noexcept {
  auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
  if (name.empty() || name.size() > max_operation_name_bytes || !is_lower(name.front()))
    return false;
  for (auto c : name)
    if (!is_lower(c) && (c < '0' || c > '9') && c != '_')
      return false;
  return true;
}

struct operation_parameter {
  /// Without the prefix (`:`, `@` or `$`).
  std::string name;
  parameter_type type = parameter_type::any;
  /// Whether NULL is accepted; then the parameter may also be left out.
  bool nullable = true;
  /// Bounds, both inclusive; null for none. Of an integer or a real they are of its own type and bound its value. Else
  /// they are integers and bound the length: characters (code points) of a text, bytes of a blob or a JSON document.
  value lowest;
  value highest;

  friend bool operator==(const operation_parameter&, const operation_parameter&) = default;
};

/// A column of the answer, as the author declares it.
struct operation_column {
  std::string name;
  parameter_type type = parameter_type::any;
  bool nullable = false;

  friend bool operator==(const operation_column&, const operation_column&) = default;
};

struct operation_statement {
  /// As it is written, with the comments inside of it and its semicolon.
  sql_text sql;
  /// The names of its parameters that are the operation's, each once, in the order of the text.
  std::vector<std::string> parameters;
  /// The other parameters, which earlier statements return; the columns that the operation declares, of the statement
  /// that gives them. Null for neither, and in operations that read.
  std::shared_ptr<const statement_terms> terms;
  /// By its text: whether it changes the database, and whether it is an INSERT, UPDATE, DELETE or REPLACE.
  bool writes = false;
  bool changes_rows = false;
  /// Where it begins in the file, from 1.
  size_t line = 0;
};

struct operation {
  std::string name;
  operation_kind kind = operation_kind::exec;
  /// The file, relative to the store root.
  std::string database;
  /// For people and language models; lines are separated by `\n`. Possibly empty.
  std::string description;
  /// Those with a `param` line in the order of these lines, then the others in the order of the SQL.
  std::vector<operation_parameter> parameters;
  /// Declared by `column` lines; empty if nothing is known.
  std::vector<operation_column> columns;
  /// The trust that a caller needs, where there is a policy.
  sluice::tier tier = sluice::tier::basic;
  /// How long an answer may be kept; only of operations that read.
  std::optional<std::chrono::milliseconds> cache;
  /// How many rows the only statement with `changes_rows` must change; otherwise nothing of the request is applied.
  std::optional<int64_t> expected_changes;
  /// As in a write request; off only in operations that write.
  bool foreign_keys = true;
  /// At least one; exactly one if none of them writes.
  std::vector<operation_statement> statements;
  /// Where the operation is defined: the name of the file that messages show, and the line of its `name`.
  std::string file;
  size_t line = 0;

  /// By the text of the SQL; SQLite has the last word when a statement is prepared.
  bool writes() const noexcept {
    for (const auto& statement : statements)
      if (statement.writes)
        return true;
    return false;
  }

  /// Null if there is none of this name.
  const operation_parameter* find_parameter(std::string_view wanted) const noexcept {
    for (const auto& parameter : parameters)
      if (parameter.name == wanted)
        return &parameter;
    return nullptr;
  }
};

} // namespace sluice
