#include "runtime/json/json.hpp"

#include "messages/agent_key.hpp"
#include "runtime/json/hex.hpp"
#include "runtime/json/json_writer.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <span>

namespace sluice {

using nlohmann::json;

namespace {

// The bytes of a document besides its rows.
constexpr size_t envelope_bytes = 1'024;

const rowset& rows_of(const std::shared_ptr<const rowset>& rows) {
  // Never destroyed: brokers that are static objects use it until their end.
  static const auto& none = *new rowset;
  return rows ? *rows : none;
}

void append_columns(json_writer& to, const rowset& rows) {
  to.key("columns").begin_array();
  for (const auto& name : rows.columns())
    to.text(name);
  to.end_array();
}

void append_cells(json_writer& to, std::span<const value> row, integer_form integers) {
  to.begin_array();
  for (const auto& cell : row)
    to.content(cell, integers);
  to.end_array();
}

void append_rows(json_writer& to, const rowset& rows, integer_form integers) {
  to.key("rows").begin_array();
  for (size_t i = 0; i < rows.size(); ++i)
    append_cells(to, rows.row(i), integers);
  to.end_array();
}

void append_form(json_writer& to, integer_form integers) {
  if (integers == integer_form::text)
    to.key("integer_text").boolean(true);
}

} // namespace

// Members are in alphabetical order, as in `nlohmann::json`.
std::string render(const rowset& rows, integer_form integers) {
  std::string text;
  text.reserve(rows.footprint() + envelope_bytes);
  json_writer to{text};
  to.begin_object();
  append_columns(to, rows);
  append_rows(to, rows, integers);
  to.end_object();
  return text;
}

std::string render(const write_result& result, integer_form integers) {
  std::string text;
  text.reserve(envelope_bytes);
  json_writer to{text};
  to.begin_object().key("commit_seq").number(result.commit_seq);
  append_form(to, integers);
  to.key("outcome").text(to_string(outcome::committed)).key("replayed").boolean(result.replayed);
  to.key("request_id").text(result.request_id).key("results").begin_array();
  for (const auto& each : result.results) {
    to.begin_object().key("changes").number(each.changes);
    append_columns(to, each.rows);
    to.key("last_insert_rowid").content(value{each.last_insert_rowid}, integers);
    append_rows(to, each.rows, integers);
    to.end_object();
  }
  to.end_array().end_object();
  return text;
}

std::string render_list(const read_result& result, integer_form integers) {
  std::string text;
  text.reserve(footprint(result) + envelope_bytes);
  json_writer to{text};
  auto append = [&](const std::shared_ptr<const rowset>& rows, bool truncated) {
    to.begin_object();
    append_columns(to, rows_of(rows));
    append_rows(to, rows_of(rows), integers);
    to.key("truncated").boolean(truncated).end_object();
  };
  to.begin_object().key("as_of_seq").number(result.as_of_seq);
  append_form(to, integers);
  to.key("results").begin_array();
  append(result.rows, result.more.empty() ? result.truncated : result.first_truncated);
  for (const auto& next : result.more)
    append(next.rows, next.truncated);
  to.end_array().key("source").text(to_string(result.source)).key("truncated").boolean(result.truncated).end_object();
  return text;
}

std::string render(const read_result& result, integer_form integers) {
  if (!result.more.empty())
    return render_list(result, integers);
  const auto& rows = rows_of(result.rows);
  std::string text;
  text.reserve(rows.footprint() + envelope_bytes);
  json_writer to{text};
  to.begin_object().key("as_of_seq").number(result.as_of_seq);
  append_columns(to, rows);
  append_form(to, integers);
  append_rows(to, rows, integers);
  to.key("source").text(to_string(result.source)).key("truncated").boolean(result.truncated).end_object();
  return text;
}

std::string render(const cursor_page& page, integer_form integers) {
  const auto& rows = rows_of(page.rows);
  std::string text;
  text.reserve(rows.footprint() + envelope_bytes);
  json_writer to{text};
  to.begin_object().key("as_of_seq").number(page.as_of_seq);
  append_columns(to, rows);
  to.key("cursor").number(page.cursor).key("done").boolean(page.is_last);
  append_form(to, integers);
  append_rows(to, rows, integers);
  to.end_object();
  return text;
}

std::string render_rows(const rowset& rows, integer_form integers) {
  std::string text;
  json_writer to{text};
  for (size_t i = 0; i < rows.size(); ++i)
    append_cells(to, rows.row(i), integers);
  return text;
}

json as_json(const rowset& rows, integer_form integers) { return json::parse(render(rows, integers)); }

json as_json(const write_result& result, integer_form integers) { return json::parse(render(result, integers)); }

json as_json(const read_result& result, integer_form integers) { return json::parse(render(result, integers)); }

json as_json(const cursor_page& page, integer_form integers) { return json::parse(render(page, integers)); }

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
  // ISO 8601 has years of four digits; only a forged record has another time.
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
              {is_read ? "read_key" : "idempotency_key", given_key(record.key)},
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
  if (record.grant && !record.grant->capsule_hash.empty()) {
    result["capsule"] = to_hex(record.grant->capsule_hash);
    result["policy"] = to_hex(record.grant->policy_hash);
  }
  if (!record.reason.empty())
    result["reason"] = record.reason;
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
  if (verdict.pruned > 0)
    result["pruned"] = verdict.pruned;
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
