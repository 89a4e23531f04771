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

json as_json(const rowset& rows, integer_form integers) {
  auto encoded = json::array();
  for (size_t i = 0; i < rows.size(); ++i)
    encoded.push_back(row_as_json(rows.row(i), integers));
  return {{"columns", texts_as_json(rows.columns())}, {"rows", std::move(encoded)}};
}

json as_json(const write_result& result, integer_form integers) {
  auto results = json::array();
  for (const auto& r : result.results) {
    auto entry = as_json(r.rows, integers);
    entry["changes"] = r.changes;
    entry["last_insert_rowid"] = as_json(value{r.last_insert_rowid}, integers);
    results.push_back(std::move(entry));
  }
  json document{{"outcome", to_string(outcome::committed)},
                {"replayed", result.replayed},
                {"commit_seq", result.commit_seq},
                {"request_id", result.request_id},
                {"results", std::move(results)}};
  if (integers == integer_form::text)
    document["integer_text"] = true;
  return document;
}

json as_json(const read_result& result, integer_form integers) {
  auto document = as_json(result.rows ? *result.rows : rowset{}, integers);
  document["truncated"] = result.truncated;
  document["source"] = to_string(result.source);
  document["as_of_seq"] = result.as_of_seq;
  if (integers == integer_form::text)
    document["integer_text"] = true;
  return document;
}

json as_json(const cursor_page& page, integer_form integers) {
  auto document = as_json(page.rows ? *page.rows : rowset{}, integers);
  document["cursor"] = page.cursor;
  document["done"] = page.is_last;
  document["as_of_seq"] = page.as_of_seq;
  if (integers == integer_form::text)
    document["integer_text"] = true;
  return document;
}

std::string render_rows(const rowset& rows, integer_form integers) {
  std::string result;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i > 0)
      result += ',';
    result += dump(row_as_json(rows.row(i), integers));
  }
  return result;
}

namespace {

template <class Result> std::string render_by_row(const Result& page, integer_form integers) {
  if (!page.rows)
    return dump(as_json(page, integers));
  auto shape = page;
  shape.rows = std::make_shared<const rowset>(std::make_shared<const rowset::column_names>(page.rows->columns()));
  auto frame = dump(as_json(shape, integers));
  // In a text, quotes have a backslash before them.
  constexpr std::string_view no_rows = R"(,"rows":[])";
  auto at = frame.find(no_rows) + no_rows.size() - 1;
  std::string result;
  // Room for what a transport puts around it, too.
  constexpr size_t around = 1'024;
  result.reserve(page.rows->footprint() + frame.size() + around);
  result.append(frame, 0, at);
  for (size_t i = 0; i < page.rows->size(); ++i) {
    if (i > 0)
      result += ',';
    result += dump(row_as_json(page.rows->row(i), integers));
  }
  return result.append(frame, at);
}

} // namespace

std::string render(const read_result& result, integer_form integers) { return render_by_row(result, integers); }

std::string render(const cursor_page& page, integer_form integers) { return render_by_row(page, integers); }

json as_json(const failure& error) {
  json result{{"code", to_string(error.code)}, {"message", error.message}, {"outcome", to_string(error.outcome)}};
  if (error.retry_after_ms > 0)
    result["retry_after_ms"] = error.retry_after_ms;
  if (error.attempts > 0) {
    result["attempts"] = error.attempts;
    result["waited_ms"] = error.waited_ms;
  }
  if (!error.request_id.empty())
    result["request_id"] = error.request_id;
  return result;
}

json error_document(const failure& error) { return {{"error", as_json(error)}}; }

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

json as_json(const audit_record& record, std::string_view store_root) {
  auto is_read = record.type == request_type::read || record.type == request_type::cache_hit;
  json result{{"seq", record.seq},
              {"ts", iso_time(record.ts_us)},
              {"ts_us", record.ts_us},
              {"request_id", record.request_id},
              {"agent", record.agent},
              {"store_root", store_root},
              {"db", record.db},
              {"request_type", to_string(record.type)},
              {is_read ? "read_key" : "idempotency_key", record.key},
              {"status", record.status},
              {"latency_ms", static_cast<double>(record.latency_us) / 1000},
              {"commit_seq", record.commit_seq},
              {"tables", record.tables ? texts_as_json(*record.tables) : json::array()},
              {"correlation_id", record.correlation_id},
              {"count", record.count},
              {"recovered", record.recovered}};
  if (record.peer.pid != 0) {
    result["peer_uid"] = record.peer.uid;
    result["peer_pid"] = record.peer.pid;
  }
  return result;
}

json as_json(const audit_page& page) {
  auto records = json::array();
  for (const auto& record : page.records)
    records.push_back(as_json(record, page.store_root));
  return {{"store_root", page.store_root}, {"records", std::move(records)}};
}

json as_json(const audit_verdict& verdict) {
  json result{
    {"intact", verdict.intact()}, {"records", verdict.records}, {"broken", verdict.broken}, {"head", verdict.head}};
  if (verdict.broken > 0) {
    result["first_broken"] = verdict.first_broken;
    result["reason"] = verdict.reason;
  }
  if (!verdict.problems.empty())
    result["problems"] = verdict.problems;
  return result;
}

json as_json(const log_entry& entry) {
  return {{"id", entry.id},          {"ts", iso_time(entry.ts_us)},
          {"ts_us", entry.ts_us},    {"level", to_string(entry.level)},
          {"source", entry.source},  {"agent", entry.agent},
          {"message", entry.message}};
}

json as_json(const log_page& page) {
  auto entries = json::array();
  for (const auto& entry : page.entries)
    entries.push_back(as_json(entry));
  return {{"entries", std::move(entries)}, {"truncated", page.truncated}};
}

} // namespace sluice
