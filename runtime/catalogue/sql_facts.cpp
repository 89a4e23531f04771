#include "runtime/catalogue/sql_facts.hpp"

#include "actors/base/sql_tokens.hpp"
#include "actors/base/utf8_text.hpp"
#include "runtime/sqlite/core/leading_keyword.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_set>

namespace sluice {

namespace {

struct verb {
  std::string_view word;
  sql_effect effect;
};

constexpr std::array verbs{
  verb{"select", sql_effect::reads},
  verb{"values", sql_effect::reads},
  verb{"explain", sql_effect::reads},
  verb{"insert", sql_effect::changes_rows},
  verb{"update", sql_effect::changes_rows},
  verb{"delete", sql_effect::changes_rows},
  verb{"replace", sql_effect::changes_rows},
  verb{"create", sql_effect::changes_database},
  verb{"alter", sql_effect::changes_database},
  verb{"drop", sql_effect::changes_database},
  verb{"analyze", sql_effect::changes_database},
  verb{"reindex", sql_effect::changes_database},
  verb{"begin", sql_effect::controls_connection},
  verb{"commit", sql_effect::controls_connection},
  verb{"end", sql_effect::controls_connection},
  verb{"rollback", sql_effect::controls_connection},
  verb{"savepoint", sql_effect::controls_connection},
  verb{"release", sql_effect::controls_connection},
  verb{"attach", sql_effect::controls_connection},
  verb{"detach", sql_effect::controls_connection},
  verb{"vacuum", sql_effect::controls_connection},
};

// The verb of a WITH stands behind the parenthesis that closes the last expression; behind that of a list of columns
// stands AS.
sql_token verb_behind_with(std::string_view sql) noexcept {
  size_t depth = 0;
  bool is_behind_parenthesis = false;
  for (;;) {
    auto token = take_token(sql);
    if (token.kind == sql_token_kind::end)
      return token;
    if (token.is('('))
      ++depth;
    else if (token.is(')') && depth > 0)
      --depth;
    else if (depth == 0 && is_behind_parenthesis && token.kind == sql_token_kind::word && !token.is("as"))
      return token;
    is_behind_parenthesis = token.is(')');
  }
}

bool assigns(std::string_view pragma) noexcept {
  for (auto token = take_token(pragma); token.kind != sql_token_kind::end; token = take_token(pragma))
    // `PRAGMA user_version(6)` is another form of `PRAGMA user_version = 6`.
    if (token.is('=') || token.is('('))
      return true;
  return false;
}

sql_token verb_of(std::string_view sql) noexcept {
  sql = skip_to_statement(sql);
  auto token = take_token(sql);
  return token.is("with") ? verb_behind_with(sql) : token;
}

// Behind the prefix of a parameter: the length of its name, in SQLite's Tcl form with `::` and `(...)`.
size_t parameter_length(std::string_view sql) noexcept {
  size_t length = 0;
  while (length < sql.size())
    if (continues_sql_name(sql[length]))
      ++length;
    else if (length > 0 && sql[length] == '(')
      return std::min(sql.find(')', length), sql.size() - 1) + 1;
    else if (sql.substr(length).starts_with("::"))
      length += 2;
    else
      break;
  return length;
}

std::string first_word(std::string_view sql) {
  auto result = sqlite::leading_keyword(sql);
  return result.empty() ? escape_invalid_utf8(sql.substr(0, 1)) : result;
}

std::string name_in(const sql_token& token) {
  return folded_name(token.kind == sql_token_kind::quoted ? unquoted(token.text) : std::string{token.text});
}

// `main.` in front of a name.
sql_token name_behind(std::string_view& sql) {
  auto token = take_token(sql);
  auto rest = sql;
  if (name_in(token) == "main" && take_token(rest).is('.')) {
    token = take_token(rest);
    sql = rest;
  }
  return token;
}

// Of a PRAGMA that the broker does not set up itself.
bool is_free_pragma(std::string_view sql) {
  take_token(sql);
  auto name = name_in(name_behind(sql));
  return name == "user_version" || name == "defer_foreign_keys";
}

// The table of the broker that `sql` would change; empty if there is none.
std::string own_table_changed(std::string_view sql) {
  constexpr std::array<std::string_view, 7> before_name{"into",  "update",  "table", "view",
                                                        "index", "trigger", "exists"};
  auto deletes = verb_of(sql).is("delete");
  for (auto token = take_token(sql); token.kind != sql_token_kind::end; token = take_token(sql)) {
    auto is_target = std::any_of(before_name.begin(), before_name.end(), [&](auto word) { return token.is(word); });
    if (!is_target && !(deletes && token.is("from")))
      continue;
    deletes = false;
    auto rest = sql;
    if (auto name = name_behind(rest); name_in(name).starts_with("_sluice_"))
      return std::string{name.text};
  }
  return {};
}

bool is_temporary(std::string_view sql) {
  sql = skip_to_statement(sql);
  if (!take_token(sql).is("create"))
    return false;
  auto token = take_token(sql);
  return token.is("temp") || token.is("temporary");
}

// Whether a parenthesis lacks its other end.
bool is_incomplete(std::string_view sql) {
  int64_t depth = 0;
  for (auto token = take_token(sql); token.kind != sql_token_kind::end; token = take_token(sql))
    depth += token.is('(') ? 1 : token.is(')') ? -1 : 0;
  return depth > 0;
}

bool begins_parameter(const sql_token& token) noexcept { return token.is(':') || token.is('@') || token.is('$'); }

} // namespace

std::vector<std::string> parameters_in(std::string_view sql) {
  std::vector<std::string> result;
  std::unordered_set<std::string> known;
  auto add = [&](std::string_view name) {
    if (known.emplace(name).second)
      result.emplace_back(name);
  };
  for (auto token = take_token(sql); token.kind != sql_token_kind::end; token = take_token(sql)) {
    if (token.is('?')) {
      auto digits = std::min(sql.find_first_not_of("0123456789"), sql.size());
      add(std::string_view{token.text.data(), 1 + digits});
      sql.remove_prefix(digits);
    } else if (begins_parameter(token)) {
      auto length = parameter_length(sql);
      if (length > 0)
        add(sql.substr(0, length));
      sql.remove_prefix(length);
    }
  }
  return result;
}

sql_effect effect_of(std::string_view sql) {
  auto first = verb_of(sql);
  if (first.is("pragma"))
    return assigns(sql) ? sql_effect::changes_database : sql_effect::reads;
  auto found = std::find_if(verbs.begin(), verbs.end(), [&](const verb& each) { return first.is(each.word); });
  return found == verbs.end() ? sql_effect::unknown : found->effect;
}

bool only_adds(std::string_view sql) {
  auto first = verb_of(sql);
  if (first.is("create"))
    return true;
  auto words = words_of(sql);
  return first.is("insert") && !has_keyword(words, "replace") && !has_keyword(words, "update");
}

bool gives_rows(std::string_view sql) {
  return effect_of(sql) == sql_effect::reads || has_keyword(words_of(sql), "returning");
}

bool is_unfinished_trigger(std::string_view sql) {
  sql = skip_to_statement(sql);
  if (!take_token(sql).is("create"))
    return false;
  auto token = take_token(sql);
  if (token.is("temp") || token.is("temporary"))
    token = take_token(sql);
  if (!token.is("trigger"))
    return false;
  // The body ends with `; END`, and a semicolon unless the file ends there. The last three tokens, newest first.
  std::array<sql_token, 3> last;
  for (token = take_token(sql); token.kind != sql_token_kind::end; token = take_token(sql))
    last = {token, last[0], last[1]};
  auto at = last[0].is(';') ? size_t{1} : size_t{0};
  return !last[at].is("end") || !last[at + 1].is(';');
}

std::string why_no_statement(std::string_view sql, std::string_view what) {
  auto effect = effect_of(sql);
  if (effect == sql_effect::unknown)
    return fmt::format("no SQL statement begins with {}", first_word(sql));
  if (effect == sql_effect::controls_connection)
    return fmt::format("{} cannot be part of {}, which is one transaction; remove it", first_word(sql), what);
  if (verb_of(sql).is("pragma") && !is_free_pragma(skip_to_statement(sql)))
    return fmt::format("this PRAGMA cannot be part of {}, because the broker sets its connections up itself; only "
                       "user_version and defer_foreign_keys are allowed",
                       what);
  if (is_temporary(sql))
    return fmt::format("{} cannot create temporary objects; remove TEMP, or use a WITH", what);
  if (auto table = own_table_changed(sql); !table.empty())
    return fmt::format("{} belongs to the broker, which alone changes it; names must not begin with _sluice_", table);
  if (is_unfinished_trigger(sql))
    return "the body of this trigger does not end; write END; behind it";
  if (is_incomplete(sql))
    return "this statement is incomplete; close its parenthesis";
  return {};
}

bool is_unclosed(std::string_view token) noexcept {
  if (token.size() < 2)
    return true;
  if (token.front() == '[')
    return token.back() != ']';
  // A doubled quote is part of the text, so that an odd number of them at the end closes it.
  auto inside = token.substr(1);
  auto last = inside.find_last_not_of(token.front());
  auto quotes = last == std::string_view::npos ? inside.size() : inside.size() - last - 1;
  return quotes % 2 == 0;
}

} // namespace sluice
