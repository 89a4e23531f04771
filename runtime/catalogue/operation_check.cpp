#include "runtime/catalogue/operation_check.hpp"

#include "runtime/catalogue/sql_facts.hpp"
#include "runtime/sqlite/core/split_statements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_set>

namespace sluice {

namespace {

std::string why_no_parameter(std::string_view name) {
  if (name.starts_with('?'))
    return fmt::format("the parameter {} has no name; write :name instead", name);
  if (!is_operation_name(name))
    return fmt::format("'{}' cannot be the name of a parameter; it must be [a-z][a-z0-9_]*, at most {} characters",
                       name, max_operation_name_bytes);
  return {};
}

class completion {
public:
  completion(operation& to, const annotation_lines& lines) : to_(to), lines_(lines) {}

  std::vector<file_mistake> run(std::string_view sql, size_t line) {
    const auto* counted = sql.data();
    for (auto text : sqlite::split_statements(sql)) {
      line += static_cast<size_t>(std::count(counted, text.data(), '\n'));
      counted = text.data();
      add_statement(text, line);
    }
    if (to_.statements.empty())
      add_mistake(to_.line, "operation {} has no SQL; write a statement behind its annotations", to_.name);
    for (const auto& each : lines_.returning)
      hand_over(each);
    set_terms();
    check_parameters();
    check_kind();
    check_annotations();
    return std::move(mistakes_);
  }

private:
  template <class... Arguments>
  void add_mistake(size_t line, fmt::format_string<Arguments...> form, Arguments&&... arguments) {
    mistakes_.push_back({line, fmt::format(form, std::forward<Arguments>(arguments)...)});
  }

  void add_statement(std::string_view text, size_t line) {
    auto effect = effect_of(text);
    if (auto why = why_no_statement(text, "an operation"); !why.empty())
      mistakes_.push_back({line, std::move(why)});
    operation_statement result;
    result.sql = text;
    result.parameters = parameters_in(text);
    result.writes = effect != sql_effect::reads;
    result.changes_rows = effect == sql_effect::changes_rows;
    result.line = line;
    for (const auto& name : result.parameters)
      if (auto why = why_no_parameter(name); !why.empty())
        mistakes_.push_back({line, std::move(why)});
    to_.statements.push_back(std::move(result));
    last_lines_.push_back(line + static_cast<size_t>(std::count(text.begin(), text.end(), '\n')));
    terms_.emplace_back();
  }

  // The statement behind the line; nothing if there is none, or if the line is inside of one.
  std::optional<size_t> statement_behind(size_t line) const {
    for (size_t i = 0; i < to_.statements.size(); ++i)
      if (line < to_.statements[i].line)
        return i;
      else if (line < last_lines_[i])
        return std::nullopt;
    return std::nullopt;
  }

  // Makes a parameter of the later statements one that is returned.
  void hand_over(const returning_line& from) {
    const auto& name = from.parameter;
    auto source = statement_behind(from.line);
    if (!source)
      return add_mistake(from.line,
                         "there is no statement that begins behind this line; write it above the statement "
                         "that returns {}",
                         from.column);
    if (!gives_rows(to_.statements[*source].sql.str()))
      add_mistake(from.line, "the statement behind this line returns nothing; write RETURNING {} at its end",
                  from.column);
    if (to_.find_parameter(name))
      return add_mistake(from.line, "parameter {} has a param line, and is not the caller's to give; remove that line",
                         name);
    if (!returned_.insert(name).second)
      add_mistake(from.line, "parameter {} is returned twice; give one of them another name", name);
    auto is_used = false;
    for (size_t i = 0; i < to_.statements.size(); ++i) {
      if (std::erase(to_.statements[i].parameters, name) == 0)
        continue;
      if (i <= *source)
        return add_mistake(to_.statements[i].line, "parameter {} is used before the statement in line {} returns it",
                           name, to_.statements[*source].line);
      terms_[i].returned.push_back({name, static_cast<uint32_t>(i - *source), from.column});
      is_used = true;
    }
    if (!is_used)
      add_mistake(from.line, "parameter {} is not used in a later statement; write :{} there, or remove this line",
                  name, name);
  }

  // SQLite names the columns only when the operation is called, so that they are compared then.
  void set_terms() {
    if (!to_.columns.empty() && !to_.statements.empty() && to_.writes())
      for (const auto& each : to_.columns)
        terms_[place_of_rows()].columns.push_back(each.name);
    for (size_t i = 0; i < terms_.size(); ++i)
      if (!terms_[i].returned.empty() || !terms_[i].columns.empty())
        to_.statements[i].terms = std::make_shared<const statement_terms>(std::move(terms_[i]));
  }

  // The statement whose rows are the answer: the last one that gives any.
  size_t place_of_rows() const {
    for (auto i = to_.statements.size(); i > 0; --i)
      if (gives_rows(to_.statements[i - 1].sql.str()))
        return i - 1;
    return to_.statements.size() - 1;
  }

  void check_parameters() {
    std::unordered_set<std::string_view> used;
    for (const auto& each : to_.statements)
      used.insert(each.parameters.begin(), each.parameters.end());
    std::unordered_set<std::string_view> described;
    for (size_t i = 0; i < to_.parameters.size(); ++i) {
      const auto& name = to_.parameters[i].name;
      described.insert(name);
      if (!used.contains(name))
        add_mistake(lines_.parameters[i], "parameter {} is not used in the SQL; write :{} there, or remove this line",
                    name, name);
    }
    std::vector<operation_parameter> others;
    for (const auto& each : to_.statements)
      for (const auto& name : each.parameters)
        if (described.insert(name).second)
          others.push_back({name, parameter_type::any, true, {}, {}});
    if (to_.parameters.size() + others.size() > max_operation_parameters)
      add_mistake(to_.line, "operation {} has {} parameters; at most {} are allowed", to_.name,
                  to_.parameters.size() + others.size(), max_operation_parameters);
    // Not before: the names that are described are views of the parameters.
    to_.parameters.insert(to_.parameters.end(), others.begin(), others.end());
  }

  void check_kind() {
    if (to_.statements.size() > 1 && to_.kind == operation_kind::many)
      add_mistake(to_.statements[1].line,
                  "a :many operation has one statement, and {} has another one here; "
                  "write an operation for each",
                  to_.name);
    if (to_.statements.size() > 1 && !to_.writes())
      add_mistake(to_.statements[1].line,
                  "an operation that reads has one statement, and {} has another one here; "
                  "write an operation for each",
                  to_.name);
    if (!to_.statements.empty() && !to_.writes() && is_for_writes(to_.kind))
      add_mistake(to_.line,
                  "operation {} only reads, so that a :{} operation would give nothing; "
                  "make it :one or :many",
                  to_.name, to_string(to_.kind));
  }

  static bool is_for_writes(operation_kind kind) {
    return kind == operation_kind::exec || kind == operation_kind::batch;
  }

  void check_annotations() {
    auto changing = std::count_if(to_.statements.begin(), to_.statements.end(),
                                  [](const operation_statement& each) { return each.changes_rows; });
    if (lines_.cache && to_.writes())
      add_mistake(lines_.cache, "only an operation that reads can be cached; {} writes", to_.name);
    if (lines_.expect && changing != 1)
      add_mistake(lines_.expect, "expect needs exactly one INSERT, UPDATE, DELETE or REPLACE; {} has {}", to_.name,
                  changing);
    if (lines_.foreign_keys && !to_.writes())
      add_mistake(lines_.foreign_keys, "foreign_keys is only for operations that write; {} reads", to_.name);
    auto gives = std::any_of(to_.statements.begin(), to_.statements.end(),
                             [](const operation_statement& each) { return gives_rows(each.sql.str()); });
    if (lines_.column && to_.kind == operation_kind::exec)
      add_mistake(lines_.column, "a :exec operation gives no rows, and so no columns; make {} :one or :many", to_.name);
    else if (lines_.column && to_.kind == operation_kind::batch && !gives)
      add_mistake(lines_.column, "{} gives no rows, and so no columns; write RETURNING, or remove this line", to_.name);
  }

  operation& to_;
  const annotation_lines& lines_;
  // For each statement: its last line, and its terms.
  std::vector<size_t> last_lines_;
  std::vector<statement_terms> terms_;
  std::unordered_set<std::string> returned_;
  std::vector<file_mistake> mistakes_;
};

} // namespace

std::vector<file_mistake> complete_operation(operation& to, std::string_view sql, size_t first_line,
                                             const annotation_lines& lines) {
  return completion{to, lines}.run(sql, first_line);
}

} // namespace sluice
