#include "runtime/json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sodium.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>

namespace sluice {

namespace {

using nlohmann::json;

caf::error invalid(std::string_view field, std::string_view why) {
  return make_error(errc::invalid_request, fmt::format("{} {}", field, why));
}

constexpr std::string_view too_wide = "does not fit in 64 bits; use text or a real";

std::string to_base64(std::string_view bytes) {
  constexpr auto variant = sodium_base64_VARIANT_ORIGINAL;
  // The length that libsodium asks for includes a closing NUL.
  std::string result(sodium_base64_encoded_len(bytes.size(), variant), '\0');
  sodium_bin2base64(result.data(), result.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                    variant);
  result.pop_back();
  return result;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string result(text.size() / 4 * 3 + 3, '\0');
  size_t size = 0;
  const char* end = nullptr;
  auto code = sodium_base642bin(reinterpret_cast<unsigned char*>(result.data()), result.size(), text.data(),
                                text.size(), nullptr, &size, &end, sodium_base64_VARIANT_ORIGINAL);
  if (code != 0 || end != text.data() + text.size())
    return std::nullopt;
  result.resize(size);
  return result;
}

caf::expected<value> tagged_from_json(const json& x, std::string_view field) {
  constexpr std::string_view shape = R"(must be null, a number, a text, {"$blob":"BASE64"} or {"$real":"inf"})";
  if (x.size() != 1 || !x.begin()->is_string())
    return invalid(field, shape);
  const auto& content = x.begin()->get_ref<const std::string&>();
  if (x.begin().key() == "$blob") {
    auto bytes = from_base64(content);
    if (!bytes)
      return invalid(field, "holds a $blob that is not Base64 (with padding)");
    return value{blob{std::move(*bytes)}};
  }
  constexpr auto infinite = std::numeric_limits<double>::infinity();
  if (x.begin().key() == "$real" && (content == "inf" || content == "-inf"))
    return value{content == "inf" ? infinite : -infinite};
  if (x.begin().key() == "$real" && content == "nan")
    return value{std::numeric_limits<double>::quiet_NaN()};
  return invalid(field, shape);
}

std::string_view skip_digits(std::string_view x) {
  auto end = x.find_first_not_of("0123456789");
  return end == std::string_view::npos ? std::string_view{} : x.substr(end);
}

bool starts_with_digit(std::string_view x) { return !x.empty() && x[0] >= '0' && x[0] <= '9'; }

enum class numeral : uint8_t { none, integer, real };

// JSON's grammar of numbers, except that a real needs its point: whatever would not read back as it was typed, such as
// a postal code or a hash, stays text.
numeral classify(std::string_view x) {
  if (x.starts_with('-'))
    x.remove_prefix(1);
  if (!starts_with_digit(x))
    return numeral::none;
  x = x[0] == '0' ? x.substr(1) : skip_digits(x);
  if (x.empty())
    return numeral::integer;
  if (x[0] != '.' || !starts_with_digit(x.substr(1)))
    return numeral::none;
  x = skip_digits(x.substr(1));
  if (x.starts_with('e') || x.starts_with('E')) {
    x.remove_prefix(1);
    if (x.starts_with('-') || x.starts_with('+'))
      x.remove_prefix(1);
    if (!starts_with_digit(x))
      return numeral::none;
    x = skip_digits(x);
  }
  return x.empty() ? numeral::real : numeral::none;
}

template <class Number> caf::expected<value> parse_number(std::string_view text) {
  Number result{};
  if (std::from_chars(text.data(), text.data() + text.size(), result).ec != std::errc{})
    return invalid(fmt::format("-p {}", text), "does not fit in 64 bits; use text: or a real");
  return value{result};
}

} // namespace

std::string dump(const json& document) { return document.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string dump_pretty(const json& document) { return document.dump(2, ' ', false, json::error_handler_t::replace); }

json as_json(const value& x) {
  switch (x.kind()) {
  case value_kind::null: return nullptr;
  case value_kind::integer: return *x.integer();
  case value_kind::real:
    if (std::isfinite(*x.real()))
      return *x.real();
    return {{"$real", std::isnan(*x.real()) ? "nan" : *x.real() > 0 ? "inf" : "-inf"}};
  case value_kind::text: return *x.text();
  case value_kind::blob: return {{"$blob", to_base64(*x.blob_bytes())}};
  }
  return nullptr;
}

caf::expected<value> value_from_json(const json& x, std::string_view field) {
  switch (x.type()) {
  case json::value_t::null: return value{};
  case json::value_t::number_integer: return value{x.get<int64_t>()};
  case json::value_t::number_unsigned:
    if (x.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return invalid(field, too_wide);
    return value{x.get<int64_t>()};
  case json::value_t::number_float: return value{x.get<double>()};
  case json::value_t::string: return value{x.get<std::string>()};
  case json::value_t::object: return tagged_from_json(x, field);
  case json::value_t::boolean: return invalid(field, "is a boolean, which SQLite does not have; use 1 or 0");
  default: return invalid(field, "is an array; a value must be null, a number, a text or {\"$blob\":\"BASE64\"}");
  }
}

caf::expected<parameters> parameters_from_json(const json& x, std::string_view field) {
  parameters result;
  if (x.is_null())
    return result;
  if (!x.is_array() && !x.is_object())
    return invalid(field, "must be an array (by position) or an object (by name)");
  for (size_t i = 0; x.is_array() && i < x.size(); ++i) {
    auto content = value_from_json(x[i], fmt::format("{}[{}]", field, i));
    if (!content)
      return std::move(content.error());
    result.positional.push_back(std::move(*content));
  }
  for (auto i = x.begin(); x.is_object() && i != x.end(); ++i) {
    auto name = fmt::format("{}.{}", field, i.key());
    if (i.key().empty() || std::string_view{":@$"}.find(i.key()[0]) != std::string_view::npos)
      return invalid(name, "must be named, and without the prefix");
    auto content = value_from_json(*i, name);
    if (!content)
      return std::move(content.error());
    result.named.push_back({i.key(), std::move(*content)});
  }
  return result;
}

caf::expected<value> parse_cli_value(std::string_view text) {
  if (text == "null")
    return value{};
  if (text.starts_with("text:"))
    return value{text.substr(5)};
  if (text.starts_with("blob:")) {
    auto bytes = from_base64(text.substr(5));
    if (!bytes)
      return invalid("-p blob:", "is not followed by Base64 (with padding)");
    return value{blob{std::move(*bytes)}};
  }
  switch (classify(text)) {
  case numeral::integer: return parse_number<int64_t>(text);
  case numeral::real: return parse_number<double>(text);
  case numeral::none: break;
  }
  return value{text};
}

json as_json(const rowset& x) {
  auto rows = json::array();
  for (size_t i = 0; i < x.size(); ++i) {
    auto row = json::array();
    for (const auto& cell : x.row(i))
      row.push_back(as_json(cell));
    rows.push_back(std::move(row));
  }
  return {{"columns", x.columns()}, {"rows", std::move(rows)}};
}

json as_json(const write_result& x) {
  auto results = json::array();
  for (const auto& r : x.results) {
    auto entry = as_json(r.rows);
    entry["changes"] = r.changes;
    entry["last_insert_rowid"] = r.last_insert_rowid;
    results.push_back(std::move(entry));
  }
  return {{"outcome", to_string(outcome::committed)},
          {"replayed", x.replayed},
          {"commit_seq", x.commit_seq},
          {"request_id", x.request_id},
          {"results", std::move(results)}};
}

json as_json(const read_result& x) {
  auto result = as_json(x.rows ? *x.rows : rowset{});
  result["truncated"] = x.truncated;
  result["source"] = to_string(x.source);
  result["as_of_seq"] = x.as_of_seq;
  return result;
}

json as_json(const failure& x) {
  json result{{"code", to_string(x.code)}, {"message", x.message}, {"outcome", to_string(x.outcome)}};
  if (x.retry_after_ms > 0)
    result["retry_after_ms"] = x.retry_after_ms;
  if (x.attempts > 0) {
    result["attempts"] = x.attempts;
    result["waited_ms"] = x.waited_ms;
  }
  if (!x.request_id.empty())
    result["request_id"] = x.request_id;
  return result;
}

json error_document(const failure& x) { return {{"error", as_json(x)}}; }

std::string iso_time(int64_t unix_us) {
  using namespace std::chrono;
  // ISO 8601 has years of four digits; only a forged record is of another time.
  constexpr auto first = int64_t{-62'167'219'200'000'000};
  constexpr auto last = int64_t{253'402'300'799'999'999};
  auto at = sys_time<microseconds>{microseconds{std::clamp(unix_us, first, last)}};
  auto day = floor<days>(at);
  year_month_day date{day};
  hh_mm_ss time{at - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), time.hours().count(),
                     time.minutes().count(), time.seconds().count(), time.subseconds().count());
}

json as_json(const audit_record& x, std::string_view store_root) {
  auto is_read = x.type == request_type::read || x.type == request_type::cache_hit;
  json result{{"seq", x.seq},
              {"ts", iso_time(x.ts_us)},
              {"ts_us", x.ts_us},
              {"request_id", x.request_id},
              {"agent", x.agent},
              {"store_root", store_root},
              {"db", x.db},
              {"request_type", to_string(x.type)},
              {is_read ? "read_key" : "idempotency_key", x.key},
              {"status", x.status},
              {"latency_ms", static_cast<double>(x.latency_us) / 1000},
              {"commit_seq", x.commit_seq},
              {"tables", x.tables ? *x.tables : std::vector<std::string>{}},
              {"correlation_id", x.correlation_id},
              {"count", x.count},
              {"recovered", x.recovered}};
  if (x.peer.pid != 0) {
    result["peer_uid"] = x.peer.uid;
    result["peer_pid"] = x.peer.pid;
  }
  return result;
}

json as_json(const audit_page& x) {
  auto records = json::array();
  for (const auto& record : x.records)
    records.push_back(as_json(record, x.store_root));
  return {{"store_root", x.store_root}, {"records", std::move(records)}};
}

json as_json(const audit_verdict& x) {
  json result{{"intact", x.intact()}, {"records", x.records}, {"broken", x.broken}, {"head", x.head}};
  if (x.broken > 0) {
    result["first_broken"] = x.first_broken;
    result["reason"] = x.reason;
  }
  if (!x.problems.empty())
    result["problems"] = x.problems;
  return result;
}

json as_json(const log_entry& x) {
  return {{"id", x.id},         {"ts", iso_time(x.ts_us)}, {"ts_us", x.ts_us},    {"level", to_string(x.level)},
          {"source", x.source}, {"agent", x.agent},        {"message", x.message}};
}

json as_json(const log_page& x) {
  auto entries = json::array();
  for (const auto& entry : x.entries)
    entries.push_back(as_json(entry));
  return {{"entries", std::move(entries)}};
}

} // namespace sluice
