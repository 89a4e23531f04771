#include "runtime/json/json_writer.hpp"

#include "actors/base/utf8_text.hpp"
#include "runtime/json/base64.hpp"
#include "runtime/json/json_values.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace sluice {

namespace {

template <class Number> std::string_view digits_of(std::array<char, 24>& buffer, Number content) {
  auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), content).ptr;
  return {buffer.data(), static_cast<size_t>(end - buffer.data())};
}

bool needs_escape(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; }

void append_escaped(std::string& to, char c) {
  constexpr std::string_view hex = "0123456789abcdef";
  switch (c) {
  case '"': to += "\\\""; return;
  case '\\': to += "\\\\"; return;
  case '\b': to += "\\b"; return;
  case '\f': to += "\\f"; return;
  case '\n': to += "\\n"; return;
  case '\r': to += "\\r"; return;
  case '\t': to += "\\t"; return;
  default:
    to += "\\u00";
    to += hex[static_cast<unsigned char>(c) >> 4];
    to += hex[static_cast<unsigned char>(c) & 15];
  }
}

} // namespace

json_writer& json_writer::key(std::string_view name) {
  separate();
  to_->append(1, '"').append(name).append("\":");
  needs_comma_ = false;
  return *this;
}

json_writer& json_writer::name(std::string_view name) {
  separate();
  if (is_utf8(name))
    quote(name);
  else
    quote(escape_invalid_utf8(name));
  to_->append(1, ':');
  needs_comma_ = false;
  return *this;
}

json_writer& json_writer::number(int64_t content) {
  std::array<char, 24> buffer;
  return raw(digits_of(buffer, content));
}

json_writer& json_writer::number(uint64_t content) {
  std::array<char, 24> buffer;
  return raw(digits_of(buffer, content));
}

// Uses the library, so that a real keeps its point.
json_writer& json_writer::number(double content) { return raw(nlohmann::json(content).dump()); }

json_writer& json_writer::text(std::string_view content) {
  separate();
  if (is_utf8(content))
    quote(content);
  else
    tagged("$text", to_base64(content));
  return *this;
}

json_writer& json_writer::content(const value& content, integer_form integers) {
  switch (content.kind()) {
  case value_kind::null: return null();
  case value_kind::integer: {
    auto number = *content.integer();
    if (is_written_as_number(number, integers))
      return this->number(number);
    std::array<char, 24> buffer;
    separate();
    if (integers == integer_form::text)
      quote(digits_of(buffer, number));
    else
      tagged("$integer", digits_of(buffer, number));
    return *this;
  }
  case value_kind::real: {
    auto number = *content.real();
    if (std::isfinite(number))
      return this->number(number);
    separate();
    tagged("$real", std::isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
    return *this;
  }
  case value_kind::text: return text(*content.text());
  case value_kind::blob:
    separate();
    tagged("$blob", to_base64(*content.blob_bytes()));
    return *this;
  }
  return *this;
}

json_writer& json_writer::raw(std::string_view json) {
  separate();
  to_->append(json);
  return *this;
}

json_writer& json_writer::open(char bracket) {
  separate();
  *to_ += bracket;
  needs_comma_ = false;
  return *this;
}

json_writer& json_writer::close(char bracket) {
  *to_ += bracket;
  needs_comma_ = true;
  return *this;
}

void json_writer::separate() {
  if (std::exchange(needs_comma_, true))
    *to_ += ',';
}

// Appends parts that need no escaping at once.
void json_writer::quote(std::string_view content) {
  *to_ += '"';
  size_t begin = 0;
  for (size_t i = 0; i < content.size(); ++i)
    if (needs_escape(content[i])) {
      to_->append(content.substr(begin, i - begin));
      append_escaped(*to_, content[i]);
      begin = i + 1;
    }
  to_->append(content.substr(begin)).append(1, '"');
}

void json_writer::tagged(std::string_view name, std::string_view content) {
  to_->append("{\"").append(name).append("\":\"").append(content).append("\"}");
}

} // namespace sluice
