#pragma once

#include "messages/rowset.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

/// Appends a JSON document to a string, member by member, without building a DOM. The caller must end what it has
/// begun, and give names to an object's members. Values are encoded as in protocol.md: bytes as `{"$blob":"BASE64"}`,
/// text that is not UTF-8 as `{"$text":"BASE64"}`, infinite reals and NaN as `{"$real":"inf"}`, large integers in the
/// requested form. Used by one thread.
class json_writer {
public:
  /// @param to outlives this
  explicit json_writer(std::string& to) noexcept : to_(&to) {}

  json_writer& begin_object() { return open('{'); }
  json_writer& end_object() { return close('}'); }
  json_writer& begin_array() { return open('['); }
  json_writer& end_array() { return close(']'); }

  /// The name of the next member: plain ASCII without characters that must be escaped.
  json_writer& key(std::string_view name);
  /// As `key`, for any name; bytes that are not UTF-8 are escaped, as `escape_invalid_utf8` does.
  json_writer& name(std::string_view name);

  json_writer& null() { return raw("null"); }
  json_writer& boolean(bool content) { return raw(content ? "true" : "false"); }
  json_writer& number(int64_t content);
  json_writer& number(uint64_t content);
  /// @pre finite
  json_writer& number(double content);
  /// A text or a name; bytes that are not UTF-8 as `{"$text"}`.
  json_writer& text(std::string_view content);
  json_writer& content(const value& content, integer_form integers);

  /// Appends complete JSON text.
  json_writer& raw(std::string_view json);

private:
  json_writer& open(char bracket);
  json_writer& close(char bracket);
  void separate();
  void quote(std::string_view content);
  void tagged(std::string_view name, std::string_view content);

  std::string* to_;
  bool needs_comma_ = false;
};

} // namespace sluice
