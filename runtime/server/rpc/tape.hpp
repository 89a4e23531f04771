#pragma once

#include "actors/base/utf8_text.hpp"
#include "messages/value.hpp"

#include <simdjson.h>

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

/// Reads documents of known form that simdjson has parsed. Each function returns false for anything that is not
/// certain.
namespace sluice::rpc {

/// Longer documents gain little, and would keep memory.
constexpr size_t max_typed_bytes = 64 * 1024;

/// Accepts each member once: simdjson does not check for duplicates, which other parsers would read differently.
class seen_members {
public:
  bool add(unsigned member) { return (std::exchange(mask_, mask_ | 1U << member) & 1U << member) == 0; }
  bool has(unsigned member) const noexcept { return (mask_ & 1U << member) != 0; }
  unsigned count() const noexcept { return static_cast<unsigned>(std::popcount(mask_)); }

private:
  uint32_t mask_ = 0;
};

/// A parsed document; its buffers are reused for the next one. Used by one thread.
class tape {
public:
  bool parse(std::string_view document, simdjson::dom::element& root) {
    if (document.size() > max_typed_bytes || !(has_parser_ = has_parser_ || make_parser()))
      return false;
    // simdjson reads some bytes beyond the end.
    padded_.reserve(document.size() + simdjson::SIMDJSON_PADDING);
    padded_.assign(document);
    // An escape may stand for half a character, which simdjson accepts.
    has_escapes_ = document.find("\\u") != std::string_view::npos;
    return parser_.parse(padded_.data(), padded_.size(), false).get(root) == simdjson::SUCCESS;
  }

  bool is_text(std::string_view text) const { return !has_escapes_ || is_utf8(text); }

  bool take(const simdjson::dom::element& from, std::string& to) const {
    std::string_view text;
    if (from.get(text) != simdjson::SUCCESS || !is_text(text))
      return false;
    to = text;
    return true;
  }

  template <class Int>
  static bool take_number(const simdjson::dom::element& from, Int& to, uint64_t min, uint64_t max) {
    uint64_t number = 0;
    if (from.get(number) != simdjson::SUCCESS || number < min || number > max)
      return false;
    to = static_cast<Int>(number);
    return true;
  }

  /// Does not accept a value with a tag.
  bool take(const simdjson::dom::element& from, value& to) const {
    using simdjson::dom::element_type;
    switch (from.type()) {
    case element_type::NULL_VALUE: to = value{}; return true;
    case element_type::INT64: to = value{int64_t{from}}; return true;
    case element_type::DOUBLE: to = value{double{from}}; return true;
    case element_type::STRING: {
      std::string text;
      if (!take(from, text))
        return false;
      to = value{std::move(text)};
      return true;
    }
    default: return false;
    }
  }

private:
  /// False without memory, and when the program exits.
  bool make_parser();

  simdjson::dom::parser parser_{max_typed_bytes};
  bool has_parser_ = false;
  std::string padded_;
  bool has_escapes_ = false;
};

} // namespace sluice::rpc
