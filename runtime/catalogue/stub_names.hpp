#pragma once

#include "runtime/catalogue/operation.hpp"

#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

/// Names and lines of generated source text.
namespace sluice {

/// Names of one scope, each of which is given once. Not synchronized.
class stub_scope {
public:
  stub_scope() = default;
  explicit stub_scope(std::span<const std::string_view> taken) {
    for (auto name : taken)
      taken_.emplace(name);
  }

  /// `wanted`, with as many `_` at its end as make it a name that is not taken. It is taken from now on.
  std::string claim(std::string wanted) {
    while (!taken_.insert(wanted).second)
      wanted += '_';
    return wanted;
  }

private:
  std::unordered_set<std::string> taken_;
};

/// `add_note` -> `AddNote`
std::string in_camel_case(std::string_view name);

/// `text` in its lines, without their ends. At least one.
std::vector<std::string_view> lines_of(std::string_view text);

/// `text` with each `from` in it as `to`. @pre `from` is not empty
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

/// Whether the answers of such an operation hold rows.
constexpr bool has_rows(operation_kind kind) noexcept {
  return kind == operation_kind::one || kind == operation_kind::many;
}

} // namespace sluice
