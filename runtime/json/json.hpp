#pragma once

#include "messages/audit.hpp"
#include "messages/buffer.hpp"
#include "messages/cursor.hpp"
#include "messages/error.hpp"
#include "messages/log.hpp"
#include "messages/read.hpp"
#include "messages/write.hpp"
#include "runtime/json/json_text.hpp"
#include "runtime/json/json_values.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>
#include <vector>

/// The JSON form of sluice's types in the protocol (docs/reference/protocol.md). Pure functions, safe from any thread.
namespace sluice {

/// `{"columns":[...], "rows":[[...]]}`. `render` returns the text of the document without building the document.
nlohmann::json as_json(const rowset& rows, integer_form integers = integer_form::number);
std::string render(const rowset& rows, integer_form integers = integer_form::number);

/// `{"outcome":"committed", "replayed", "commit_seq", "request_id", "results":[{"changes", "last_insert_rowid",
/// "columns", "rows"}]}`, and `"integer_text":true` for `integer_form::text`.
nlohmann::json as_json(const write_result& result, integer_form integers = integer_form::number);
std::string render(const write_result& result, integer_form integers = integer_form::number);

/// `{"columns", "rows", "truncated", "source", "as_of_seq"}`, and `"integer_text":true` for `integer_form::text`.
nlohmann::json as_json(const read_result& result, integer_form integers = integer_form::number);
std::string render(const read_result& result, integer_form integers = integer_form::number);
/// The answer to a read with a list of `statements`, even if the list has one entry.
std::string render_list(const read_result& result, integer_form integers);

/// `{"cursor", "columns", "rows", "done", "as_of_seq"}`, and `"integer_text":true` for `integer_form::text`.
nlohmann::json as_json(const cursor_page& page, integer_form integers = integer_form::number);
std::string render(const cursor_page& page, integer_form integers = integer_form::number);

/// The rows alone, with commas between them: for documents that are written in parts.
std::string render_rows(const rowset& rows, integer_form integers = integer_form::number);

/// `{"code", "message", "outcome"}`, and those of `retry_after_ms`, `attempts`, `waited_ms` and `request_id` that are
/// set. It is the `data` of a JSON-RPC error.
nlohmann::json as_json(const failure& error);

/// `{"error": ...}`: the output of a failed command with `--json`.
nlohmann::json error_document(const failure& error);

/// A flat object with the names of the audit's fields: `ts` in ISO 8601 (UTC, microseconds) and `ts_us`, `key` as
/// `idempotency_key` or, for reads, as `read_key`, `latency_ms` with three decimals; `peer_uid` and `peer_pid` only for
/// other processes.
nlohmann::json as_json(const audit_record& record, std::string_view store_root);

/// `{"store_root", "records":[...]}`
nlohmann::json as_json(const audit_page& page);

/// `{"intact", "records", "broken", "head"}`, and if broken `first_broken` and `reason`.
nlohmann::json as_json(const audit_verdict& verdict);

/// `{"id", "ts", "ts_us", "level", "source", "agent", "message"}`: `ts` in ISO 8601 (UTC, microseconds).
nlohmann::json as_json(const log_entry& entry);

/// `{"entries":[...], "truncated"}`
nlohmann::json as_json(const log_page& page);

/// `{column: value}`
nlohmann::json as_json(const std::vector<named_value>& columns, integer_form integers = integer_form::number);

/// `{"pending", "journaled"}`
nlohmann::json as_json(const buffer_receipt& receipt);

/// `{"found", "pending", "row":{column: value}}`; the row only if there is one. `"integer_text"` as for a read.
nlohmann::json as_json(const buffered_row& row, integer_form integers = integer_form::number);

/// `{"flushed", "set_aside", "kept"}`, and `reason` if rows were kept.
nlohmann::json as_json(const flush_report& report);

/// `{"id", "ts", "ts_us", "code", "message", "db", "table", "operation", "key", "values", "agent"}`; only the first
/// five for an unreadable row.
nlohmann::json as_json(const rejected_row& row, integer_form integers = integer_form::number);

/// `{"rows":[...]}`, and `"integer_text":true` for `integer_form::text`.
nlohmann::json as_json(const rejected_page& page, integer_form integers = integer_form::number);

/// A time of the audit in ISO 8601, UTC, with microseconds: `2024-02-29T12:00:00.000001Z`; clamped to the years 0000 to
/// 9999.
std::string iso_time(int64_t unix_us);

/// The form in which a request wants integers; numbers if the request has no such field.
template <class Request> integer_form integers_of(const Request& request) {
  if constexpr (requires { request.integers; })
    return request.integers;
  else
    return integer_form::number;
}

/// `as_json` for an answer whose integers may have another form, and for other answers.
template <class Result> auto answer_as_json(const Result& answer, integer_form integers) {
  if constexpr (requires { as_json(answer, integers); })
    return as_json(answer, integers);
  else
    return as_json(answer);
}

/// The text of the answer; without building the document where `render` exists.
template <class Result> std::string answer_as_text(const Result& answer, integer_form integers) {
  if constexpr (requires { render(answer, integers); })
    return render(answer, integers);
  else
    return dump(answer_as_json(answer, integers));
}

} // namespace sluice
