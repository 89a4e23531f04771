#include "runtime/launcher/quick_command.hpp"

#include "actors/base/sql_tokens.hpp"
#include "actors/base/utf8_text.hpp"
#include "runtime/json/plain_values.hpp"

#include <charconv>
#include <cstdlib>
#include <string_view>
#include <sys/stat.h>
#include <utility>

namespace sluice::launcher {

namespace {

// An option in its most common spelling; the main program handles other spellings.
enum class option : uint8_t { none, json, csv, fresh, agent, key, param, time, unknown };

option option_of(std::string_view word, bool is_write) {
  if (!word.starts_with('-'))
    return option::none;
  if (word == "--json")
    return option::json;
  if (word == "--csv" && !is_write)
    return option::csv;
  if (word == "--fresh" && !is_write)
    return option::fresh;
  if (word == "--agent")
    return option::agent;
  if (word == "--key" && is_write)
    return option::key;
  if (word == (is_write ? "--deadline" : "--timeout"))
    return option::time;
  return word == "-p" || word == "--param" ? option::param : option::unknown;
}

bool is_plain(std::string_view text) { return !text.empty() && is_utf8(text); }

// The only statement in `sql`, exactly as the main program sends it: an idempotency key is bound to its text.
std::optional<std::string_view> only_statement(std::string_view sql) {
  auto text = skip_to_statement(sql);
  if (text.empty())
    return std::nullopt;
  auto rest = text;
  for (auto token = take_token(rest); token.kind != sql_token_kind::end; token = take_token(rest))
    if (token.is(';'))
      return skip_to_statement(rest).empty() ? std::optional{text.substr(0, text.size() - rest.size())} : std::nullopt;
  return text;
}

class reader {
public:
  explicit reader(bool is_write) { result_.is_write = is_write; }

  bool take(std::span<char* const> words) {
    for (size_t i = 0; i < words.size(); ++i) {
      std::string_view word = words[i];
      auto found = option_of(word, result_.is_write);
      auto takes_value =
        found == option::agent || found == option::key || found == option::param || found == option::time;
      if (takes_value && ++i == words.size())
        return false;
      if (!take(found, takes_value ? words[i] : word))
        return false;
    }
    return true;
  }

  std::optional<quick_command> finish() {
    if (places_.size() != 2 || !locate(places_[0]) || !take_sql(places_[1]) || (result_.json && result_.csv))
      return std::nullopt;
    if (const auto* named = std::getenv("SLUICE_AGENT"); result_.agent.empty() && named)
      result_.agent = named;
    if (!result_.agent.empty() && !is_plain(result_.agent))
      return std::nullopt;
    return std::move(result_);
  }

private:
  bool take(option found, std::string_view word) {
    switch (found) {
    case option::none: places_.push_back(word); return true;
    case option::json: return !std::exchange(result_.json, true);
    case option::csv: return !std::exchange(result_.csv, true);
    case option::fresh: return !std::exchange(result_.fresh, true);
    case option::agent: return is_plain(word) && std::exchange(result_.agent, word).empty();
    case option::key: return is_plain(word) && std::exchange(result_.key, word).empty();
    case option::param: return take_parameter(word);
    case option::time: return result_.time_ms == 0 && take_time(word);
    case option::unknown: break;
    }
    return false;
  }

  // A parameter with `=` may have a name, and a word that begins with a dash may be an option.
  bool take_parameter(std::string_view word) {
    if (word.starts_with('-') || word.find('=') != std::string_view::npos || !is_utf8(word))
      return false;
    auto content = value_from_word(word);
    if (content)
      result_.params.push_back(std::move(*content));
    return content.has_value();
  }

  bool take_time(std::string_view word) {
    constexpr uint32_t day_ms = 86'400'000;
    auto [end, failed] = std::from_chars(word.data(), word.data() + word.size(), result_.time_ms);
    return failed == std::errc{} && end == word.data() + word.size() && result_.time_ms > 0
           && result_.time_ms <= day_ms;
  }

  bool locate(std::string_view db) {
    auto slash = db.rfind('/');
    auto has_folder = slash != std::string_view::npos;
    result_.root = has_folder ? db.substr(0, slash + 1) : "./";
    result_.db = has_folder ? db.substr(slash + 1) : db;
    struct stat info {};
    auto is_folder = stat(std::string{db}.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
    return is_plain(result_.db) && !is_folder;
  }

  bool take_sql(std::string_view sql) {
    if (sql == "-" || !is_utf8(sql))
      return false;
    if (!result_.is_write) {
      result_.sql = sql;
      return !sql.empty();
    }
    auto only = only_statement(sql);
    result_.sql = only.value_or("");
    return only.has_value();
  }

  quick_command result_;
  std::vector<std::string_view> places_;
};

} // namespace

std::optional<quick_command> read_quick_command(std::span<char* const> words) {
  if (words.empty() || std::getenv("SLUICE_ENDPOINT"))
    return std::nullopt;
  std::string_view name = words[0];
  if (name != "exec" && name != "query")
    return std::nullopt;
  const auto* capsule = std::getenv("SLUICE_CAPSULE");
  if (name == "exec" && capsule)
    return std::nullopt;
  // The main program refuses empty ones.
  const auto* agent = std::getenv("SLUICE_AGENT");
  if ((capsule && !*capsule) || (agent && !*agent))
    return std::nullopt;
  reader command{name == "exec"};
  return command.take(words.subspan(1)) ? command.finish() : std::nullopt;
}

} // namespace sluice::launcher
