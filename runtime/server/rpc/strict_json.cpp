#include "runtime/server/rpc/strict_json.hpp"

#include "messages/error.hpp"

#include <fmt/format.h>

#include <iterator>
#include <string>
#include <vector>

namespace sluice::rpc {

namespace {

using nlohmann::json;

constexpr size_t max_depth = 64;

// Counts how far the parser has read, which its events do not report.
class counting_iterator {
public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  counting_iterator(const char* at, const char** seen) : at_(at), seen_(seen) {}

  reference operator*() const noexcept { return *at_; }
  counting_iterator& operator++() noexcept {
    *seen_ = ++at_;
    return *this;
  }
  counting_iterator operator++(int) noexcept {
    auto before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const counting_iterator& a, const counting_iterator& b) noexcept { return a.at_ == b.at_; }

private:
  const char* at_;
  const char** seen_;
};

// Extracts the part that a client needs from "[json.exception.parse_error.101] parse error at line 1, column 2: syntax
// error while parsing value - invalid literal; last read: '...'". The client's own text, which may be long, is left
// out.
std::string reason_of(std::string_view message) {
  if (auto begin = message.find("syntax error"); begin != std::string_view::npos)
    message.remove_prefix(begin);
  auto rest = message.find("; last read: ");
  auto reason = std::string{message.substr(0, rest)};
  if (rest != std::string_view::npos)
    if (auto expected = message.rfind("; expected "); expected != std::string_view::npos && expected > rest)
      reason += message.substr(expected);
  return reason;
}

// Builds the document from the parser's events.
class strict_builder {
public:
  bool null() { return place(nullptr); }
  bool boolean(bool content) { return place(content); }
  bool number_integer(int64_t number) { return place(number); }
  bool number_unsigned(uint64_t number) { return place(number); }

  bool number_float(double number, const std::string& text) {
    // The library converts integers that are too large to reals.
    if (text.find_first_not_of("-0123456789") == std::string::npos)
      return refuse("holds an integer that does not fit in 64 bits");
    return place(number);
  }

  // The copy has the size of its text, and the parser keeps its buffer.
  bool string(const std::string& text) { return place(text); }

  bool binary(json::binary_t&) { return refuse("holds binary data"); }

  bool start_object(size_t) { return open(json::value_t::object); }
  bool start_array(size_t) { return open(json::value_t::array); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(const std::string& name) {
    auto [at, added] = open_.back()->get_ref<json::object_t&>().try_emplace(name);
    if (!added)
      return refuse(fmt::format("gives the member \"{}\" twice", std::string_view{name}.substr(0, 100)));
    context_ = &at->second;
    return true;
  }

  bool parse_error(size_t, const std::string&, const json::exception& error) {
    constexpr int number_overflow = 406;
    if (error.id == number_overflow)
      return refuse("holds a number that is infinite as a real of 64 bits");
    return refuse("is not JSON: " + reason_of(error.what()));
  }

  json& document() noexcept { return document_; }
  const std::string& reason() const noexcept { return reason_; }

private:
  bool place(json element) {
    put(std::move(element));
    return true;
  }

  json* put(json&& element) {
    if (open_.empty())
      return &(document_ = std::move(element));
    if (open_.back()->is_array())
      return &open_.back()->get_ref<json::array_t&>().emplace_back(std::move(element));
    return &(*context_ = std::move(element));
  }

  bool open(json::value_t kind) {
    if (open_.size() == max_depth)
      return refuse("is nested deeper than 64 levels");
    open_.push_back(put(json(kind)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  bool refuse(std::string reason) {
    reason_ = std::move(reason);
    return false;
  }

  json document_;
  // The arrays and objects that enclose the current position.
  std::vector<json*> open_;
  // The destination of the value of the last key.
  json* context_ = nullptr;
  std::string reason_;
};

caf::error refusal(std::string_view reason, size_t at) {
  return make_error(errc::invalid_request, fmt::format("the document {} (at byte {})", reason, at));
}

} // namespace

caf::expected<json> parse_strictly(std::string_view text) {
  const auto* seen = text.data();
  strict_builder builder;
  if (!json::sax_parse(counting_iterator{text.data(), &seen}, counting_iterator{text.data() + text.size(), &seen},
                       &builder))
    return refusal(builder.reason(), static_cast<size_t>(seen - text.data()));
  // The library takes a NUL for the end of the text.
  if (auto nul = text.find('\0'); nul != std::string_view::npos)
    return refusal("goes on after its end with a NUL", nul + 1);
  return std::move(builder.document());
}

} // namespace sluice::rpc
