#pragma once

#include "messages/inspection.hpp"
#include "messages/value.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace sluice {

/// SQL text with its hash; copies share the text, so that an agent that repeats a statement neither copies nor hashes
/// it again. Immutable, safe to share between threads.
class sql_text {
public:
  sql_text() : sql_text(std::string{}) {}
  sql_text(std::string text) : shared_(std::make_shared<const content>(std::move(text))) {}
  sql_text(std::string_view text) : sql_text(std::string{text}) {}
  sql_text(const char* text) : sql_text(std::string{text}) {}

  const std::string& str() const noexcept { return shared_->text; }
  size_t hash() const noexcept { return shared_->hash; }
  bool empty() const noexcept { return shared_->text.empty(); }

  friend bool operator==(const sql_text& a, const sql_text& b) noexcept {
    return a.shared_ == b.shared_ || (a.hash() == b.hash() && a.str() == b.str());
  }

  template <class Inspector> friend typename Inspector::result_type inspect(Inspector& f, sql_text& x);

private:
  struct content {
    explicit content(std::string sql) : text(std::move(sql)), hash(std::hash<std::string>{}(text)) {}
    std::string text;
    size_t hash;
  };

  std::shared_ptr<const content> shared_;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, sql_text& x) {
  auto text = x.str();
  auto load = [&]() -> caf::error {
    x = sql_text{std::move(text)};
    return caf::none;
  };
  return f(caf::meta::type_name("sql_text"), text, caf::meta::load_callback(load));
}
SLUICE_DECLARE_INSPECT(sql_text)

/// A parameter by name, without its prefix (`:`, `@` or `$`).
struct named_value {
  std::string name;
  value content;

  friend bool operator==(const named_value&, const named_value&) = default;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, named_value& x) {
  return f(caf::meta::type_name("named_value"), x.name, x.content);
}
SLUICE_DECLARE_INSPECT(named_value)

/// The parameters of a statement: by position or by name, never both.
struct parameters {
  std::vector<value> positional;
  std::vector<named_value> named;

  parameters() = default;
  parameters(std::initializer_list<value> values) : positional(values) {}
  parameters(std::vector<value> values) : positional(std::move(values)) {}
  parameters(std::vector<named_value> values) : named(std::move(values)) {}

  friend bool operator==(const parameters&, const parameters&) = default;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, parameters& x) {
  return f(caf::meta::type_name("parameters"), x.positional, x.named);
}
SLUICE_DECLARE_INSPECT(parameters)

/// Bytes of names and values, in bounds.
inline size_t footprint(const std::vector<named_value>& columns) noexcept {
  size_t total = 0;
  for (const auto& [name, content] : columns)
    total += name.size() + content.footprint();
  return total;
}

/// A parameter of a write's statement that has no value in the request: an earlier statement of the request returns it.
struct returned_value {
  /// Without its prefix.
  std::string parameter;
  /// How many statements before this one; at least 1.
  uint32_t statements_back = 1;
  /// The name of the column, as SQLite gives it.
  std::string column;

  friend bool operator==(const returned_value&, const returned_value&) = default;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, returned_value& x) {
  return f(caf::meta::type_name("returned_value"), x.parameter, x.statements_back, x.column);
}
SLUICE_DECLARE_INSPECT(returned_value)

/// What few statements need; of a write only.
struct statement_terms {
  /// The statements that return the values have to give one row each, otherwise the request is refused as a whole
  /// (`errc::conflict`).
  std::vector<returned_value> returned;
  /// If not empty: the request is refused (`errc::sql_error`) when the columns of the statement have other names.
  std::vector<std::string> columns;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, statement_terms& x) {
  return f(caf::meta::type_name("statement_terms"), x.returned, x.columns);
}
SLUICE_DECLARE_INSPECT(statement_terms)

/// One SQL statement and its parameters.
struct statement {
  sql_text sql;
  // The initializer makes `{"SELECT 1"}` a statement without a warning of -Wextra in hosts.
  parameters params{};
  /// In a write: the request is refused as a whole (`errc::conflict`) when the statement changes another number of
  /// rows.
  std::optional<uint64_t> expected_changes{};
  /// Null for none. Shared, because the statements of an operation have the same ones in each call.
  std::shared_ptr<const statement_terms> terms{};
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, statement& x) {
  auto expects = x.expected_changes.has_value();
  auto changes = x.expected_changes.value_or(0);
  auto terms = x.terms ? *x.terms : statement_terms{};
  auto load = [&]() -> caf::error {
    x.expected_changes = expects ? std::optional{changes} : std::nullopt;
    auto has_terms = !terms.returned.empty() || !terms.columns.empty();
    x.terms = has_terms ? std::make_shared<const statement_terms>(std::move(terms)) : nullptr;
    return caf::none;
  };
  return f(caf::meta::type_name("statement"), x.sql, x.params, expects, changes, terms, caf::meta::load_callback(load));
}
SLUICE_DECLARE_INSPECT(statement)

/// Bytes that a statement counts for in the queue bounds.
inline size_t footprint(const statement& query) noexcept {
  auto total = sizeof(statement) + query.sql.str().size();
  for (const auto& v : query.params.positional)
    total += v.footprint();
  return total + footprint(query.params.named);
}

} // namespace sluice
