#include "runtime/validate/open_calls.hpp"

#include "runtime/validate/rules.hpp"

#include <algorithm>
#include <array>
#include <tuple>

namespace sluice::validate {

namespace {

constexpr std::array all_rules{rule::c_sqlite3_open, rule::cpp_wrapper,    rule::rust_crate, rule::go_database_sql,
                               rule::go_package,     rule::python_module,  rule::js_module,  rule::orm,
                               rule::sqlite_url,     rule::sqlite3_program};

matches match_all(std::string_view source, language of) {
  matches result;
  if (of == language::shell) {
    match_shell(source, result);
    return result;
  }
  auto list = tokens_of(source, of);
  token_view tokens{list};
  match_common(tokens, result);
  switch (of) {
  case language::c: match_c(tokens, result); break;
  case language::rust: match_rust(tokens, result); break;
  case language::go: match_go(tokens, result); break;
  case language::python: match_python(tokens, result); break;
  case language::javascript: match_javascript(tokens, result); break;
  case language::shell: break;
  }
  return result;
}

} // namespace

std::vector<open_call> find_open_calls(std::string_view source, language of) {
  auto found = match_all(source, of);
  std::stable_sort(found.begin(), found.end(),
                   [](const match& a, const match& b) { return a.at.data() < b.at.data(); });
  std::vector<open_call> result;
  size_t line = 1;
  const char* line_begin = source.data();
  const char* counted_to = source.data();
  for (auto& each : found) {
    for (; counted_to < each.at.data(); ++counted_to)
      if (*counted_to == '\n') {
        ++line;
        line_begin = counted_to + 1;
      }
    auto column = static_cast<size_t>(each.at.data() - line_begin) + 1;
    // Two rules may know the same call; the first one names it.
    if (!result.empty() && std::tie(result.back().line, result.back().column) == std::tie(line, column))
      continue;
    result.push_back({line, column, each.rule, std::move(each.text)});
  }
  return result;
}

std::span<const std::string_view> rule_names() noexcept { return all_rules; }

} // namespace sluice::validate
