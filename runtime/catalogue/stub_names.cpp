#include "runtime/catalogue/stub_names.hpp"

#include "actors/base/case_folding.hpp"

#include <algorithm>

namespace sluice {

std::string in_camel_case(std::string_view name) {
  std::string result;
  bool begins_word = true;
  for (auto c : name) {
    if (c != '_')
      result += begins_word ? ascii_upper(c) : c;
    begins_word = c == '_';
  }
  return result;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> result;
  for (;;) {
    auto end = text.find('\n');
    result.push_back(text.substr(0, end));
    if (end == std::string_view::npos)
      return result;
    text.remove_prefix(end + 1);
  }
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (auto at = text.find(from); at != std::string_view::npos; at = text.find(from)) {
    result += text.substr(0, at);
    result += to;
    text.remove_prefix(at + from.size());
  }
  return result += text;
}

} // namespace sluice
