#include "runtime/validate/rules.hpp"

#include <algorithm>
#include <array>

namespace sluice::validate {

namespace {

// How far the strings of a call are looked for, so that the time stays linear.
constexpr size_t nearby = 12;

constexpr std::array<std::string_view, 3> open_functions{"sqlite3_open", "sqlite3_open_v2", "sqlite3_open16"};

constexpr std::array<std::string_view, 3> programs{"sqlite3", "sqlite-utils", "litecli"};

// Functions that start programs or have a shell start them, in all languages together.
constexpr std::array<std::string_view, 32> starters{"system",
                                                    "popen",
                                                    "execl",
                                                    "execlp",
                                                    "execle",
                                                    "execv",
                                                    "execvp",
                                                    "posix_spawn",
                                                    "posix_spawnp",
                                                    "run",
                                                    "Popen",
                                                    "call",
                                                    "check_call",
                                                    "check_output",
                                                    "getoutput",
                                                    "getstatusoutput",
                                                    "create_subprocess_exec",
                                                    "create_subprocess_shell",
                                                    "startfile",
                                                    "exec",
                                                    "execSync",
                                                    "execFile",
                                                    "execFileSync",
                                                    "spawn",
                                                    "spawnSync",
                                                    "execa",
                                                    "Command",
                                                    "CommandContext",
                                                    "new",
                                                    "spawnlp",
                                                    "execlpe",
                                                    "$"};

template <class List> bool contains(const List& list, std::string_view word) noexcept {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// sqlite:app.db, sqlite:///app.db, sqlite+aiosqlite:///app.db
bool is_sqlite_url(std::string_view text) noexcept {
  constexpr std::string_view before = "jdbc:";
  if (text.starts_with(before))
    text.remove_prefix(before.size());
  auto colon = text.find(':');
  auto scheme = text.substr(0, colon);
  if (colon == std::string_view::npos || (scheme != "sqlite" && scheme != "sqlite3" && !scheme.starts_with("sqlite+")))
    return false;
  auto place = text.substr(colon + 1);
  // A name of C++ or Rust: sqlite::database
  if (place.starts_with(':'))
    return false;
  place.remove_prefix(std::min(place.find_first_not_of('/'), place.size()));
  return !place.empty() && !is_private_memory(place) && text.find_first_of(" \t\n\\") == std::string_view::npos;
}

std::string_view leading_word(std::string_view text) noexcept { return text.substr(0, text.find_first_of(" \t\n")); }

bool starts_sqlite_program(const token_view& tokens, size_t i) noexcept {
  if (!tokens.is_word(i) || !contains(starters, tokens[i].text))
    return false;
  // A template of zx in JavaScript: $`sqlite3 app.db`
  const auto* command = tokens.is_symbol(i + 1, '(')                       ? first_string(tokens, i + 1)
                        : tokens[i].text == "$" && tokens.is_string(i + 1) ? &tokens[i + 1]
                                                                           : nullptr;
  return command && is_sqlite_program(leading_word(command->text))
         && command->text.find(":memory:") == std::string_view::npos;
}

} // namespace

std::vector<std::string> imported_names::resolve(std::span<const std::string_view> chain,
                                                 std::string_view separator) const {
  auto found = names_.find(chain.front());
  if (found != names_.end()) {
    auto rest = joined(chain.subspan(1), separator);
    return {rest.empty() ? found->second : found->second + std::string{separator} + rest};
  }
  std::vector<std::string> result;
  for (const auto& scope : scopes_)
    result.push_back(scope + std::string{separator} + joined(chain, separator));
  return result;
}

name_chain chain_at(const token_view& tokens, size_t i, std::string_view separator) {
  name_chain result;
  auto has_separator = [&](size_t at) {
    for (size_t n = 0; n < separator.size(); ++n)
      if (!tokens.is_symbol(at + n, separator[n]))
        return false;
    return true;
  };
  result.parts.push_back(tokens[i].text);
  for (result.end = i + 1; has_separator(result.end) && tokens.is_word(result.end + separator.size());) {
    result.parts.push_back(tokens[result.end + separator.size()].text);
    result.end += separator.size() + 1;
  }
  return result;
}

bool is_member(const token_view& tokens, size_t i, std::string_view separator) noexcept {
  return i > 0 && tokens.is_symbol(i - 1, separator.back())
         && (separator.size() == 1 || (i > 1 && tokens.is_symbol(i - 2, separator.front())));
}

std::string joined(std::span<const std::string_view> parts, std::string_view separator) {
  std::string result;
  for (auto part : parts) {
    if (!result.empty())
      result += separator;
    result += part;
  }
  return result;
}

bool is_private_memory(std::string_view database) noexcept {
  constexpr std::string_view scheme = "sqlite:";
  if (database.starts_with(scheme)) {
    database.remove_prefix(scheme.size());
    database.remove_prefix(std::min(database.find_first_not_of('/'), database.size()));
  }
  return database == ":memory:" || database.starts_with("file::memory:")
         || (database.starts_with("file:") && database.find("mode=memory") != std::string_view::npos);
}

bool opens_memory(const token_view& tokens, size_t open) noexcept {
  const auto* text = tokens.is_symbol(open, '(') ? first_string(tokens, open) : nullptr;
  return text && is_private_memory(text->text);
}

const token* first_string(const token_view& tokens, size_t open) noexcept {
  size_t depth = 1;
  for (auto i = open + 1; i <= open + nearby && i < tokens.size(); ++i) {
    if (tokens.is_string(i))
      return &tokens[i];
    if (tokens.is_symbol(i, '('))
      ++depth;
    if (tokens.is_symbol(i, ')') && --depth == 0)
      break;
  }
  return nullptr;
}

bool is_sqlite_program(std::string_view word) noexcept { return contains(programs, word.substr(word.rfind('/') + 1)); }

void match_common(const token_view& tokens, matches& out) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto& each = tokens[i];
    if (each.kind == token_kind::word && contains(open_functions, each.text) && !opens_memory(tokens, i + 1))
      out.push_back({each.text, rule::c_sqlite3_open, std::string{each.text}});
    else if (each.kind == token_kind::string && is_sqlite_url(each.text))
      out.push_back({each.text, rule::sqlite_url, "a URL of SQLite"});
    else if (starts_sqlite_program(tokens, i))
      out.push_back({each.text, rule::sqlite3_program, "the program sqlite3"});
  }
}

void match_c(const token_view& tokens, matches& out) {
  constexpr std::array<std::string_view, 3> wrappers{"SQLite::Database", "sqlite::database", "soci::sqlite3"};
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!tokens.is_word(i))
      continue;
    const auto word = tokens[i].text;
    // A function that is looked up by its name, and Qt's driver.
    if ((word == "dlsym" || word == "addDatabase") && tokens.is_symbol(i + 1, '(')) {
      const auto* name = first_string(tokens, i + 1);
      if (name && (contains(open_functions, name->text) || name->text == "QSQLITE"))
        out.push_back({word, rule::cpp_wrapper, std::string{word} + "(\"" + std::string{name->text} + "\")"});
      continue;
    }
    if (is_member(tokens, i, "::") || (word != "SQLite" && word != "sqlite" && word != "soci"))
      continue;
    auto chain = chain_at(tokens, i, "::");
    auto name = joined(chain.parts, "::");
    if (!contains(wrappers, name))
      continue;
    // An object is made, or make_unique<T>(...) makes one; a reference or a pointer is no call.
    auto next = chain.end + (tokens.is_symbol(chain.end, '>') ? 1 : 0);
    auto makes =
      tokens.is_symbol(next, '(') || tokens.is_symbol(next, '{') || (next == chain.end && tokens.is_word(next));
    auto arguments = tokens.is_word(next) ? next + 1 : next;
    if (makes && !opens_memory(tokens, arguments))
      out.push_back({word, rule::cpp_wrapper, std::move(name)});
  }
}

} // namespace sluice::validate
