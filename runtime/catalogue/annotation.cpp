#include "runtime/catalogue/annotation.hpp"

#include "actors/base/case_folding.hpp"
#include "actors/base/nearest_name.hpp"
#include "actors/base/utf8_text.hpp"
#include "runtime/catalogue/annotation_values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace sluice {

namespace {

struct annotation_keyword {
  std::string_view word;
  annotation_kind kind;
  bool has_colon = false;
};

constexpr std::array annotation_keywords{
  annotation_keyword{"db", annotation_kind::db, true},
  annotation_keyword{"name", annotation_kind::name, true},
  annotation_keyword{"param", annotation_kind::param},
  annotation_keyword{"tier", annotation_kind::tier},
  annotation_keyword{"cache", annotation_kind::cache},
  annotation_keyword{"expect", annotation_kind::expect},
  annotation_keyword{"column", annotation_kind::column},
  annotation_keyword{"foreign_keys", annotation_kind::foreign_keys},
  annotation_keyword{"returning", annotation_kind::returning},
};

bool is_lower_word(std::string_view word) noexcept {
  return !word.empty() && word.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

bool is_one_edit_away(std::string_view a, std::string_view b) {
  auto longer = std::max(a.size(), b.size());
  // Saves the time for most words.
  return longer - std::min(a.size(), b.size()) <= 1 && edit_distance(a, b) == 1;
}

bool is_word_character(char c) noexcept { return is_ascii_letter(c) || (c >= '0' && c <= '9') || c == '_'; }

size_t word_length(std::string_view text) noexcept {
  return static_cast<size_t>(std::find_if_not(text.begin(), text.end(), is_word_character) - text.begin());
}

// `Foreign_Keys` -> `foreignkeys`
std::string folded(std::string_view word) {
  std::string result;
  for (auto c : word)
    if (c != '_')
      result += ascii_lower(c);
  return result;
}

// Words that are one edit from `db` and `name` are too common, unless a colon is behind them.
bool is_near(std::string_view word, const annotation_keyword& keyword, bool has_colon) {
  auto wanted = folded(keyword.word);
  return word == wanted || (word.size() > 2 && (!keyword.has_colon || has_colon) && is_one_edit_away(word, wanted));
}

// The correct line, if it is short enough for a message.
std::string suggestion(const annotation_keyword& keyword, std::string_view behind) {
  constexpr size_t longest = 60;
  while (!behind.empty() && !is_word_character(behind.front()))
    behind.remove_prefix(1);
  behind = trimmed(behind.substr(0, behind.find_first_of("\n*")));
  auto value = behind.empty() || behind.size() > longest || has_control(behind) ? "..." : behind;
  return fmt::format("-- {}{} {}", keyword.word, keyword.has_colon ? ":" : "", value);
}

struct meant_annotation {
  const annotation_keyword* keyword = nullptr;
  // As it is written, with the marks before it, and what is behind it.
  std::string_view written;
  std::string_view behind;
};

// What the first word of a comment is meant to be; without a keyword if it is a free one. Marks before it do not count.
meant_annotation meaning_of(std::string_view text) {
  auto begin = static_cast<size_t>(std::find_if(text.begin(), text.end(), is_word_character) - text.begin());
  auto end = begin + word_length(text.substr(begin));
  auto first = folded(text.substr(begin, end - begin));
  // `foreign keys` and `foreign-keys`
  auto next = std::min(text.find_first_not_of(" \t-", end), text.size());
  auto second_end = next > end ? next + word_length(text.substr(next)) : end;
  auto both = first + folded(text.substr(next, second_end - std::min(next, second_end)));
  for (const auto& each : annotation_keywords) {
    if (is_near(first, each, text.substr(end).starts_with(':')))
      return {&each, text.substr(0, end), text.substr(end)};
    if (second_end > end && each.word.find('_') != std::string_view::npos && is_near(both, each, false))
      return {&each, text.substr(0, second_end), text.substr(second_end)};
  }
  return {};
}

std::string misspelled(const meant_annotation& found, std::string_view mark) {
  auto end = std::min(found.behind.find_first_of(" \t\r\n"), found.behind.size());
  auto written = fmt::format("{}{}{}", mark, found.written, found.behind.substr(0, end));
  std::replace_if(
    written.begin(), written.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  constexpr size_t longest = 80;
  return fmt::format("there is no annotation '{}', did you mean '{}'? Begin a line that is only a comment with another "
                     "word",
                     utf8_prefix(written, longest), suggestion(*found.keyword, found.behind));
}

annotation mistaken(std::string why) { return {annotation_kind::none, {}, std::move(why)}; }

// Any other word with a colon behind it is what an annotation of a later version could look like.
annotation read_unknown_word(std::string_view text) {
  text = text.substr(std::min(text.find_first_not_of("- \t"), text.size()));
  auto end = std::min(text.find_first_of(" \t:"), text.size());
  auto word = text.substr(0, end);
  if (end == text.size() || text[end] != ':')
    return {};
  auto behind = text.substr(end + 1);
  if (behind.starts_with("//") || behind.starts_with(':'))
    return {};
  auto has_gap = behind.empty() || behind.front() == ' ' || behind.front() == '\t';
  // Times of day, and drives.
  auto is_word = is_lower_word(word) && (has_gap || (word.size() > 1 && !(word.front() >= '0' && word.front() <= '9')));
  if (!is_word)
    return {};
  std::vector<std::string_view> known;
  for (const auto& each : annotation_keywords)
    known.push_back(each.word);
  auto meant = nearest(word, known);
  return mistaken(fmt::format("there is no annotation '{}:'{}; begin a line that is only a comment with another word",
                              word, meant.empty() ? "" : fmt::format(", did you mean '{}'?", meant)));
}

std::string why_no_parameter_name(std::string_view name) {
  return fmt::format("'{}' cannot be the name of a parameter; it must be [a-z][a-z0-9_]*, at most {} characters", name,
                     max_operation_name_bytes);
}

// `text? ` -> type, whether it is nullable, and what follows.
std::string read_type(std::string_view& text, parameter_type& type, bool& nullable) {
  auto word = take_word(text, "?(");
  auto found = place_among(word, parameter_type_names);
  if (!found)
    return unknown_word("type", word, parameter_type_names);
  type = static_cast<parameter_type>(*found);
  nullable = text.starts_with('?');
  if (nullable)
    text.remove_prefix(1);
  text = trimmed(text);
  return {};
}

std::string read_param(std::string_view text, operation& to) {
  operation_parameter result;
  auto name = take_word(text, "?(");
  if (!is_operation_name(name))
    return why_no_parameter_name(name);
  if (to.parameters.size() >= max_operation_parameters)
    return fmt::format("operation {} has too many parameters; at most {} are allowed", to.name,
                       max_operation_parameters);
  if (to.find_parameter(name))
    return fmt::format("parameter {} is described twice", name);
  result.name = name;
  text = trimmed(text);
  if (auto why = read_type(text, result.type, result.nullable); !why.empty())
    return why;
  if (auto why = text.empty() ? std::string{} : read_bounds(text, result); !why.empty())
    return fmt::format("parameter {} {}", name, why);
  to.parameters.push_back(std::move(result));
  return {};
}

bool is_column_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= max_operation_name_bytes && !(name.front() >= '0' && name.front() <= '9')
         && std::all_of(name.begin(), name.end(),
                        [](char c) { return is_ascii_letter(c) || (c >= '0' && c <= '9') || c == '_'; });
}

std::string read_column(std::string_view text, operation& to) {
  operation_column result;
  auto name = take_word(text, "?(");
  if (!is_column_name(name))
    return fmt::format("'{}' cannot be the name of a column; it must be [A-Za-z_][A-Za-z0-9_]*, at most {} characters",
                       name, max_operation_name_bytes);
  if (to.columns.size() >= max_operation_parameters)
    return fmt::format("operation {} has too many columns; at most {} are allowed", to.name, max_operation_parameters);
  for (const auto& each : to.columns)
    if (each.name == name)
      return fmt::format("column {} is described twice", name);
  result.name = name;
  text = trimmed(text);
  if (auto why = read_type(text, result.type, result.nullable); !why.empty())
    return why;
  if (!text.empty())
    return fmt::format("'{}' behind the type of column {} means nothing; remove it", text, name);
  to.columns.push_back(std::move(result));
  return {};
}

std::string read_tier(std::string_view text, operation& to) {
  auto found = place_among(text, tier_names);
  if (!found)
    return unknown_word("tier", text, tier_names);
  to.tier = static_cast<tier>(*found);
  return {};
}

std::string read_foreign_keys(std::string_view text, operation& to) {
  if (text != "on" && text != "off")
    return fmt::format("foreign_keys cannot be '{}'; write on or off", text);
  to.foreign_keys = text == "on";
  return {};
}

} // namespace

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view blanks = " \t\r\f\v";
  auto begin = std::min(text.find_first_not_of(blanks), text.size());
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

annotation read_annotation(std::string_view text) {
  for (const auto& each : annotation_keywords) {
    if (!text.starts_with(each.word))
      continue;
    auto behind = text.substr(each.word.size());
    auto is_blank = behind.empty() || behind.front() == ' ' || behind.front() == '\t';
    if (each.has_colon && behind.starts_with(':') && !behind.starts_with("::"))
      return {each.kind, trimmed(behind.substr(1)), {}};
    if (!each.has_colon && is_blank)
      return {each.kind, trimmed(behind), {}};
  }
  if (auto found = meaning_of(text); found.keyword)
    return mistaken(misspelled(found, text.starts_with('-') ? "--" : ""));
  return read_unknown_word(text);
}

std::string block_comment_mistake(std::string_view comment) {
  auto found = meaning_of(comment);
  return found.keyword ? misspelled(found, "") : "";
}

std::string misspelled_annotation(std::string_view comment, annotation_kind kind) {
  auto found = meaning_of(comment);
  return found.keyword && found.keyword->kind == kind ? misspelled(found, comment.starts_with('-') ? "--" : "") : "";
}

std::string read_db_line(std::string_view text, std::string& to) {
  auto refused = [&](std::string_view why) {
    return fmt::format("'{}' cannot be a database: it {}; write its path from the store root, as -- db: app.db", text,
                       why);
  };
  if (text.empty())
    return refused("is empty");
  if (has_control(text))
    return "the name of the database holds a control character";
  if (text.front() == '/')
    return refused("is not within the store root");
  for (auto rest = text; !rest.empty();) {
    auto part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    if (part == "..")
      return refused("is not within the store root");
    if (part.empty() || part == "." || part == ".sluice")
      return refused(part == ".sluice" ? "is a file of the broker" : "has an empty part");
  }
  if (text.back() == '/')
    return refused("is a folder");
  to = text;
  return {};
}

std::string read_name_and_kind(std::string_view text, operation& to) {
  auto name = take_word(text, ":");
  text = trimmed(text);
  if (!is_operation_name(name))
    return fmt::format("'{}' cannot be the name of an operation; it must be [a-z][a-z0-9_]*, at most {} characters",
                       name, max_operation_name_bytes);
  if (name.starts_with(reserved_operations))
    return fmt::format("operation {} has a name that is reserved; choose one that does not begin with {}", name,
                       reserved_operations);
  to.name = name;
  if (!text.starts_with(':'))
    return fmt::format("operation {} lacks its kind; write -- name: {} :exec, :one, :many or :batch", name, name);
  auto found = place_among(text.substr(1), operation_kind_names);
  if (!found)
    return unknown_word("kind", text.substr(1), operation_kind_names);
  to.kind = static_cast<operation_kind>(*found);
  return {};
}

std::string read_returning_line(std::string_view text, returning_line& to) {
  auto column = take_word(text, "");
  text = trimmed(text);
  auto into = take_word(text, "");
  auto parameter = trimmed(text);
  if (!is_column_name(column) || into != "into" || parameter.empty())
    return "a returned value is written as -- returning id into note_id: a column, and the parameter of later "
           "statements";
  if (!is_operation_name(parameter))
    return why_no_parameter_name(parameter);
  to.column = column;
  to.parameter = parameter;
  return {};
}

std::string read_property(const annotation& source, operation& to) {
  switch (source.kind) {
  case annotation_kind::param: return read_param(source.rest, to);
  case annotation_kind::column: return read_column(source.rest, to);
  case annotation_kind::tier: return read_tier(source.rest, to);
  case annotation_kind::foreign_keys: return read_foreign_keys(source.rest, to);
  case annotation_kind::cache: return read_duration(source.rest, to.cache);
  case annotation_kind::expect: return read_count(source.rest, to.expected_changes);
  default: return "this line belongs elsewhere";
  }
}

} // namespace sluice
