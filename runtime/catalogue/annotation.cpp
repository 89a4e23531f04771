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

std::string usage_of(const annotation_keyword& keyword) {
  return fmt::format("-- {}{} ...", keyword.word, keyword.has_colon ? ":" : "");
}

bool is_lower_word(std::string_view word) noexcept {
  return !word.empty() && word.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

bool is_one_edit_away(std::string_view a, std::string_view b) {
  auto longer = std::max(a.size(), b.size());
  // Saves the time for most words.
  return longer - std::min(a.size(), b.size()) <= 1 && edit_distance(a, b) == 1;
}

annotation mistaken(std::string why) { return {annotation_kind::none, {}, std::move(why)}; }

annotation read_word_with_colon(std::string_view word, std::string_view rest, bool has_gap) {
  for (const auto& each : annotation_keywords) {
    if (each.has_colon && word == each.word)
      return {each.kind, rest, {}};
    // After a name in capitals, its SQL would be part of the operation before it.
    if (same_name(word, each.word))
      return mistaken(fmt::format("'{}:' is no annotation; write {}", word, usage_of(each)));
  }
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
  if (text.starts_with('-')) {
    auto inside = read_annotation(trimmed(text.substr(std::min(text.find_first_not_of('-'), text.size()))));
    if (inside.kind == annotation_kind::none && inside.mistake.empty())
      return {};
    return mistaken("this looks like an annotation with too many dashes; write it behind two, or begin a line that is "
                    "only a comment with another word");
  }
  auto end = std::min(text.find_first_of(" \t:"), text.size());
  auto word = text.substr(0, end);
  auto rest = trimmed(text.substr(std::min(end + 1, text.size())));
  if (end < text.size() && text[end] == ':') {
    auto behind = text.substr(end + 1);
    if (behind.starts_with("//") || behind.starts_with(':'))
      return {};
    return read_word_with_colon(word, rest, behind.empty() || behind.front() == ' ' || behind.front() == '\t');
  }
  for (const auto& each : annotation_keywords) {
    if (word == each.word)
      return each.has_colon ? mistaken(fmt::format("'{}' lacks its colon; write {}", word, usage_of(each)))
                            : annotation{each.kind, rest, {}};
    // Words that are one edit from `db` and `name` are too common.
    if (!each.has_colon && is_one_edit_away(word, each.word))
      return mistaken(fmt::format("there is no annotation '{}', did you mean '{}'? Begin a line that is only a comment "
                                  "with another word",
                                  word, each.word));
  }
  return {};
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
