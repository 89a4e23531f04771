#pragma once

#include "messages/error.hpp"
#include "messages/fields.hpp"
#include "messages/value.hpp"
#include "runtime/catalogue/operation_answer.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// Operations as functions of structs: their arguments and rows are structs with a list of fields (`fields_of`,
/// messages/fields.hpp), which are compared with the operation when it is opened (docs/guides/embedding.md).
///
/// The type of a field: an integer (also `bool`), `float` or `double`, `std::string` (for text and json), `blob`, or
/// `value` for any of them; in `std::optional` if it may be NULL.
namespace sluice {

/// For operations without arguments.
struct no_arguments {};
template <> inline constexpr auto fields_of<no_arguments> = list_fields("no_arguments");

struct operation_call_options {
  std::string agent{};
  /// As in `write_request`; without effect on an operation that reads.
  std::string idempotency_key{};
  /// Zero for the configured time.
  std::chrono::milliseconds time{0};
};

/// What an operation declares.
struct operation_signature {
  std::string name;
  operation_kind kind = operation_kind::exec;
  bool writes = false;
  std::vector<operation_parameter> parameters;
  std::vector<operation_column> columns;
};

/// The way to an operation. Thread-safe.
class operation_caller {
public:
  virtual ~operation_caller() = default;

  /// Calls it with one set of arguments, or with several if it is a `:batch`; waits for the answer. Errors as the
  /// method `call`; `errc::too_large` for an answer that was cut.
  virtual caf::expected<operation_outcome> call(const std::vector<std::vector<named_value>>& sets,
                                                const operation_call_options& options) const = 0;
};

struct found_operation {
  operation_signature signature;
  std::shared_ptr<const operation_caller> caller;
};

namespace detail {

template <class T> inline constexpr bool is_optional = false;
template <class T> inline constexpr bool is_optional<std::optional<T>> = true;
template <class T> inline constexpr bool is_vector = false;
template <class T> inline constexpr bool is_vector<std::vector<T>> = true;

template <class T> struct content_of { using type = T; };
template <class T> struct content_of<std::optional<T>> { using type = T; };
template <class T> struct content_of<std::vector<T>> { using type = T; };

/// A field of a struct, as `check_signature` compares it.
struct typed_field {
  std::string_view name;
  /// `any` for a `value`.
  parameter_type type = parameter_type::any;
  bool nullable = false;
};

template <class T> constexpr parameter_type type_of_field() {
  if constexpr (std::same_as<T, value>)
    return parameter_type::any;
  else if constexpr (fitting_integer<T>)
    return parameter_type::integer;
  else if constexpr (fitting_real<T>)
    return parameter_type::real;
  else if constexpr (std::same_as<T, blob>)
    return parameter_type::blob;
  else {
    static_assert(std::same_as<T, std::string>, "a field must be an integer, a real, std::string, blob or value");
    return parameter_type::text;
  }
}

template <has_fields Struct> std::vector<typed_field> typed_fields() {
  std::vector<typed_field> result;
  fields_of<Struct>.for_each([&](const auto& field) {
    using member = std::remove_cvref_t<decltype(std::declval<Struct>().*field.member)>;
    using content = typename content_of<member>::type;
    result.push_back({field.name, type_of_field<content>(), is_optional<member> || std::same_as<content, value>});
  });
  return result;
}

template <has_fields Struct> std::vector<named_value> named_values(const Struct& from) {
  std::vector<named_value> result;
  fields_of<Struct>.for_each([&](const auto& field) {
    const auto& member = from.*field.member;
    if constexpr (is_optional<std::remove_cvref_t<decltype(member)>>)
      result.push_back({field.name, member ? value{*member} : value{}});
    else
      result.push_back({field.name, value{member}});
  });
  return result;
}

/// False if the value does not fit `to`.
template <class T> bool take(const value& from, T& to) {
  if constexpr (std::same_as<T, value>) {
    to = from;
    return true;
  } else if constexpr (is_optional<T>) {
    to.reset();
    return from.is_null() || take(from, to.emplace());
  } else if constexpr (std::same_as<T, bool>) {
    to = from.integer() && *from.integer() != 0;
    return from.integer() != nullptr;
  } else if constexpr (fitting_integer<T>) {
    auto fits = from.integer() && std::in_range<T>(*from.integer());
    to = fits ? static_cast<T>(*from.integer()) : T{};
    return fits;
  } else if constexpr (fitting_real<T>) {
    to = from.real() ? static_cast<T>(*from.real()) : from.integer() ? static_cast<T>(*from.integer()) : T{};
    return from.real() || from.integer();
  } else if constexpr (std::same_as<T, blob>) {
    to.bytes = from.blob_bytes() ? *from.blob_bytes() : std::string{};
    return from.blob_bytes() != nullptr;
  } else {
    to = from.text() ? *from.text() : T{};
    return from.text() != nullptr;
  }
}

/// `errc::invalid_request` naming the first field that does not fit. @param row null if the result has no rows
caf::error check_signature(const operation_signature& of, operation_kind kind, std::span<const typed_field> arguments,
                           const std::vector<typed_field>* row);

/// The place of each field among the columns of `rows`; `errc::sql_error` for one that is not there.
caf::expected<std::vector<size_t>> places_of(const operation_signature& of, const rowset& rows,
                                             std::span<const typed_field> row);

/// `errc::sql_error` for a value that does not fit its field.
caf::error unfit_value(const operation_signature& of, std::string_view field, const value& found);

/// `errc::conflict` for an answer without the row that the caller needs.
caf::error missing_row(const operation_signature& of);

template <has_fields Row> caf::expected<std::vector<Row>> rows_as(const operation_signature& of, const rowset& rows) {
  auto fields = typed_fields<Row>();
  auto places = places_of(of, rows, fields);
  if (!places)
    return std::move(places.error());
  std::vector<Row> result(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    size_t at = 0;
    caf::error reason;
    fields_of<Row>.for_each([&](const auto& field) {
      const auto& cell = rows.at(i, (*places)[at++]);
      if (!take(cell, result[i].*field.member) && !reason)
        reason = unfit_value(of, field.name, cell);
    });
    if (reason)
      return reason;
  }
  return result;
}

} // namespace detail

/// An operation whose arguments and result have been compared with its declaration. Cheap to copy, thread-safe; valid
/// as long as the broker or client that it was opened with. It remains the operation as it was when it was opened in a
/// `broker`; a `client` calls the operation of this name that is in force.
///
/// @tparam Args a struct; of a `:batch` operation a vector of structs
/// @tparam Result of `:exec` and `:batch`, `int64_t`: the number of changed rows; of `:many`, a vector of structs; of
/// `:one`, an optional struct, or a struct if there is always a row
template <class Args, class Result> class typed_operation {
public:
  static constexpr bool is_batch = detail::is_vector<Args>;
  static constexpr bool has_rows = !std::same_as<Result, int64_t>;
  static constexpr operation_kind kind = is_batch                    ? operation_kind::batch
                                         : !has_rows                 ? operation_kind::exec
                                         : detail::is_vector<Result> ? operation_kind::many
                                                                     : operation_kind::one;
  using argument_struct = typename detail::content_of<Args>::type;
  using row_struct = typename detail::content_of<Result>::type;
  static_assert(!is_batch || !has_rows, "the result of a :batch operation is int64_t, the number of changed rows");

  /// `errc::invalid_request` naming the field, when names, types or nullability do not fit the operation.
  static caf::expected<typed_operation> of(found_operation found) {
    auto arguments = detail::typed_fields<argument_struct>();
    caf::error reason;
    if constexpr (has_rows) {
      auto row = detail::typed_fields<row_struct>();
      reason = detail::check_signature(found.signature, kind, arguments, &row);
    } else {
      reason = detail::check_signature(found.signature, kind, arguments, nullptr);
    }
    if (reason)
      return reason;
    return typed_operation{std::move(found)};
  }

  /// Calls the operation and waits for the answer. Errors as the method `call`; `errc::sql_error` when a value of the
  /// answer does not fit its field, with the outcome `committed` if the operation writes.
  caf::expected<Result> operator()(const Args& arguments, const operation_call_options& options = {}) const {
    std::vector<std::vector<named_value>> sets;
    if constexpr (is_batch)
      for (const auto& each : arguments)
        sets.push_back(detail::named_values(each));
    else
      sets.push_back(detail::named_values(arguments));
    auto answer = found_.caller->call(sets, options);
    if (!answer)
      return std::move(answer.error());
    return result_of(*answer);
  }

  const operation_signature& signature() const noexcept { return found_.signature; }

private:
  explicit typed_operation(found_operation found) : found_(std::move(found)) {}

  caf::expected<Result> result_of(const operation_outcome& answer) const {
    if constexpr (!has_rows) {
      return answer.changes;
    } else {
      auto rows = detail::rows_as<row_struct>(found_.signature, answer.rows);
      if (!rows)
        return std::move(rows.error());
      if constexpr (detail::is_vector<Result>)
        return std::move(*rows);
      else if constexpr (detail::is_optional<Result>)
        return rows->empty() ? Result{} : Result{std::move(rows->front())};
      else
        return rows->empty() ? caf::expected<Result>{detail::missing_row(found_.signature)}
                             : caf::expected<Result>{std::move(rows->front())};
    }
  }

  found_operation found_;
};

/// Opens the operation `name` of the store of a `broker` or a `client`, which outlives the result; waits.
/// `errc::unknown_operation` when there is none, `invalid_request` when the structs do not fit, else as
/// `find_operation`.
template <class Args, class Result, class Source>
caf::expected<typed_operation<Args, Result>> open_operation(Source& source, const std::string& name) {
  auto found = find_operation(source, name);
  if (!found)
    return std::move(found.error());
  return typed_operation<Args, Result>::of(std::move(*found));
}

} // namespace sluice
