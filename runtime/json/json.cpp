#include "runtime/json/json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <span>

namespace sluice {

using nlohmann::json;

namespace {

json row_as_json(std::span<const value> row, integer_form integers) {
  auto result = json::array();
  for (const auto& cell : row)
    result.push_back(as_json(cell, integers));
  return result;
}

} // namespace

json as_json(const rowset& x, integer_form integers) {
  auto rows = json::array();
  for (size_t i = 0; i < x.size(); ++i)
    rows.push_back(row_as_json(x.row(i), integers));
  return {{"columns", texts_as_json(x.columns())}, {"rows", std::move(rows)}};
}

json as_json(const write_result& x, integer_form integers) {
  auto results = json::array();
  for (const auto& r : x.results) {
    auto entry = as_json(r.rows, integers);
    entry["changes"] = r.changes;
    entry["last_insert_rowid"] = as_json(value{r.last_insert_rowid}, integers);
    results.push_back(std::move(entry));
  }
  json result{{"outcome", to_string(outcome::committed)},
              {"replayed", x.replayed},
              {"commit_seq", x.commit_seq},
              {"request_id", x.request_id},
              {"results", std::move(results)}};
  if (integers == integer_form::text)
    result["integer_text"] = true;
  return result;
}

json as_json(const read_result& x, integer_form integers) {
  auto result = as_json(x.rows ? *x.rows : rowset{}, integers);
  result["truncated"] = x.truncated;
  result["source"] = to_string(x.source);
  result["as_of_seq"] = x.as_of_seq;
  if (integers == integer_form::text)
    result["integer_text"] = true;
  return result;
}

json as_json(const cursor_page& x, integer_form integers) {
  auto result = as_json(x.rows ? *x.rows : rowset{}, integers);
  result["cursor"] = x.cursor;
  result["done"] = x.is_last;
  result["as_of_seq"] = x.as_of_seq;
  if (integers == integer_form::text)
    result["integer_text"] = true;
  return result;
}

std::string render_rows(const rowset& x, integer_form integers) {
  std::string result;
  for (size_t i = 0; i < x.size(); ++i) {
    if (i > 0)
      result += ',';
    result += dump(row_as_json(x.row(i), integers));
  }
  return result;
}

namespace {

template <class Result> std::string render_by_row(const Result& x, integer_form integers) {
  if (!x.rows)
    return dump(as_json(x, integers));
  auto shape = x;
  shape.rows = std::make_shared<const rowset>(std::make_shared<const rowset::column_names>(x.rows->columns()));
  auto frame = dump(as_json(shape, integers));
  // In a text, quotes have a backslash before them.
  constexpr std::string_view no_rows = R"(,"rows":[])";
  auto at = frame.find(no_rows) + no_rows.size() - 1;
  std::string result;
  // Room for what a transport puts around it, too.
  constexpr size_t around = 1'024;
  result.reserve(x.rows->footprint() + frame.size() + around);
  result.append(frame, 0, at);
  for (size_t i = 0; i < x.rows->size(); ++i) {
    if (i > 0)
      result += ',';
    result += dump(row_as_json(x.rows->row(i), integers));
  }
  return result.append(frame, at);
}

} // namespace

std::string render(const read_result& x, integer_form integers) { return render_by_row(x, integers); }

std::string render(const cursor_page& x, integer_form integers) { return render_by_row(x, integers); }

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
              {"tables", x.tables ? texts_as_json(*x.tables) : json::array()},
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
  return {{"entries", std::move(entries)}, {"truncated", x.truncated}};
}

} // namespace sluice
