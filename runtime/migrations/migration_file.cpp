#include "runtime/migrations/migration_file.hpp"

#include "actors/base/name_rules.hpp"
#include "actors/base/sql_tokens.hpp"
#include "actors/base/utf8_text.hpp"
#include "messages/error.hpp"
#include "runtime/catalogue/annotation.hpp"
#include "runtime/catalogue/sql_facts.hpp"
#include "runtime/sqlite/core/split_statements.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <stdexcept>

namespace sluice {

namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
constexpr std::string_view foreign_keys_word = "foreign_keys";

uint32_t lines_in(std::string_view text) noexcept {
  return static_cast<uint32_t>(std::count(text.begin(), text.end(), '\n'));
}

std::string why_not_in_migration(std::string_view sql) {
  if (auto why = why_no_statement(sql, "a migration"); !why.empty())
    return why;
  auto parameters = parameters_in(sql);
  return parameters.empty() ? std::string{}
                            : fmt::format("a migration has no parameters, and nobody gives {} a value; write the value",
                                          parameters.front());
}

// Reads a migration once from its beginning to its end.
class migration_reader {
public:
  migration_reader(std::string_view name, std::string_view text) : name_(name), text_(text) {}

  caf::error read(write_request& to) {
    if (text_.size() > max_migration_bytes)
      return make_error(errc::too_large, fmt::format("{}: the migration has {} bytes, and may have {}; split it", name_,
                                                     text_.size(), max_migration_bytes));
    if (auto error = check_text())
      return error;
    if (text_.starts_with(byte_order_mark))
      text_.remove_prefix(byte_order_mark.size());
    if (auto error = read_comments())
      return error;
    to.enforce_foreign_keys = enforces_.value_or(true);
    return read_statements(to);
  }

  std::vector<uint32_t> take_lines() { return std::move(lines_); }

private:
  caf::error mistake(uint32_t line, std::string_view why) const {
    return make_error(errc::invalid_request, fmt::format("{}:{}: {}", name_, line, why));
  }

  caf::error check_text() const {
    auto is_usable = [](std::string_view part) { return is_utf8(part) && part.find('\0') == std::string_view::npos; };
    if (is_usable(text_))
      return {};
    uint32_t line = 1;
    auto rest = text_;
    for (; is_usable(rest.substr(0, rest.find('\n'))); ++line)
      rest.remove_prefix(rest.find('\n') + 1);
    auto unusable = rest.substr(0, rest.find('\n'));
    return mistake(line, is_utf8(unusable) ? "this line holds a NUL byte; remove it"
                                           : "this line is not UTF-8 text; save the file as UTF-8");
  }

  // Comments lie between tokens, so nothing in a literal or in the body of a trigger is taken for one.
  caf::error read_comments() {
    auto rest = text_;
    uint32_t line = 1;
    for (auto is_head = true;; is_head = false) {
      auto before = rest;
      auto token = take_token(rest);
      auto gap = before.substr(0, before.size() - rest.size() - token.text.size());
      if (auto error = read_gap(gap, line, is_head))
        return error;
      if (token.kind == sql_token_kind::end)
        return {};
      if (token.kind == sql_token_kind::quoted && rest.empty() && is_unclosed(token.text))
        return mistake(line, fmt::format("the text or name behind this {} does not end; close it", token.text.front()));
      line += lines_in(token.text);
    }
  }

  caf::error read_gap(std::string_view gap, uint32_t& line, bool is_head) {
    while (!gap.empty()) {
      size_t length = 1;
      if (gap.starts_with("--")) {
        length = std::min(gap.find('\n'), gap.size());
        if (auto error = read_comment(trimmed(gap.substr(2, length - 2)), line, is_head))
          return error;
      } else if (gap.starts_with("/*")) {
        auto end = gap.find("*/", 2);
        if (end == std::string_view::npos)
          return mistake(line, "this comment does not end; write */ behind it");
        length = end + 2;
        if (auto why = misspelled_annotation(gap.substr(0, length), annotation_kind::foreign_keys); !why.empty())
          return mistake(line, why);
      }
      line += lines_in(gap.substr(0, length));
      gap.remove_prefix(length);
    }
    return {};
  }

  caf::error read_comment(std::string_view text, uint32_t line, bool is_head) {
    auto end = std::min(text.find_first_of(" \t:"), text.size());
    auto word = text.substr(0, end);
    if (word != foreign_keys_word) {
      auto why = misspelled_annotation(text, annotation_kind::foreign_keys);
      return why.empty() ? caf::error{} : mistake(line, why);
    }
    auto value = trimmed(text.substr(std::min(end + 1, text.size())));
    if (!is_head)
      return mistake(line, "foreign_keys must stand before the first statement");
    if (enforces_)
      return mistake(line, "foreign_keys stands twice; remove one of them");
    if (value != "on" && value != "off")
      return mistake(line, fmt::format("foreign_keys cannot be '{}'; write on or off", value));
    enforces_ = value == "on";
    return {};
  }

  caf::error read_statements(write_request& to) {
    uint32_t line = 1;
    const auto* counted = text_.data();
    to.statements.clear();
    for (auto sql : sqlite::split_statements(text_)) {
      line += lines_in({counted, static_cast<size_t>(sql.data() - counted)});
      counted = sql.data();
      if (auto why = why_not_in_migration(sql); !why.empty())
        return mistake(line, why);
      if (to.statements.size() == max_migration_statements)
        return make_error(errc::too_large, fmt::format("{}:{}: the migration has more than {} statements; split it",
                                                       name_, line, max_migration_statements));
      to.statements.push_back({sql, {}});
      lines_.push_back(line);
    }
    return to.statements.empty() ? mistake(1, "the migration has no statement; write one, or remove the file")
                                 : caf::error{};
  }

  std::string_view name_;
  std::string_view text_;
  std::optional<bool> enforces_;
  std::vector<uint32_t> lines_;
};

} // namespace

std::optional<uint64_t> migration_number(std::string_view name) noexcept {
  uint64_t number = 0;
  const auto* end = name.data() + name.size();
  auto read = std::from_chars(name.data(), end, number);
  if (read.ec != std::errc{} || number == 0 || number > max_migration_number || read.ptr == end)
    return std::nullopt;
  auto has_separator = *read.ptr == '_' || *read.ptr == '-' || *read.ptr == '.';
  return has_separator && name.ends_with(".sql") ? std::optional{number} : std::nullopt;
}

std::string migration_hash(std::string_view text) {
  if (sodium_init() < 0)
    throw std::runtime_error("libsodium cannot be initialized");
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size());
  std::string result(2 * digest.size() + 1, '\0');
  sodium_bin2hex(result.data(), result.size(), digest.data(), digest.size());
  result.pop_back();
  return result;
}

caf::error prepare_migration(std::string_view name, std::string_view text, write_request& to) {
  if (auto why = name_error(std::string{name}))
    return make_error(invalid_field("name", *why));
  auto number = migration_number(name);
  if (!number || name.find('/') != std::string_view::npos)
    return make_error(invalid_field(
      "name",
      fmt::format("'{}' is no file of a migration; it must be as 0001_add_notes.sql, with a number from 1 to {}", name,
                  max_migration_number)));
  migration_reader reader{name, text};
  if (auto error = reader.read(to))
    return error;
  to.migration =
    std::make_shared<const migration>(migration{*number, std::string{name}, migration_hash(text), reader.take_lines()});
  return {};
}

} // namespace sluice
