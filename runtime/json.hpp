#pragma once

#include "messages/audit.hpp"
#include "messages/buffer.hpp"
#include "messages/error.hpp"
#include "messages/log.hpp"
#include "messages/read.hpp"
#include "messages/statement.hpp"
#include "messages/value.hpp"
#include "messages/write.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>
#include <vector>

/// How our types look as JSON in the outside contract (docs/protocol.md). Pure functions, safe from any thread.
namespace sluice {

/// One document on one line. Never throws: bytes that are no UTF-8 come out as U+FFFD, one for each.
std::string dump(const nlohmann::json& document);

/// The same over several lines, for people.
std::string dump_pretty(const nlohmann::json& document);

/// null, integer, real and text as themselves, a blob as `{"$blob":"BASE64"}`. JSON has no infinite numbers:
/// `{"$real":"inf"}`, `"-inf"` or `"nan"`.
nlohmann::json as_json(const value& x);

/// Reads what `as_json` writes. `errc::invalid_request` naming `field` for anything else: a boolean, an array, a number
/// that does not fit in 64 bits, bad Base64.
caf::expected<value> value_from_json(const nlohmann::json& x, std::string_view field);

/// Reads an array (by position), an object (by name, without the prefix) or null (none). `errc::invalid_request` names
/// the entry, as `params[2]` or `params.id` where `field` is `params`.
caf::expected<parameters> parameters_from_json(const nlohmann::json& x, std::string_view field = "params");

/// Reads the VALUE of `-p`: `null`, `5` (integer), `1.5` (real), `text:...`, `blob:BASE64`; anything else is text, so
/// what is not written as a number in JSON is (`007`, `+49`, `1e5`). `errc::invalid_request` for an integer beyond 64
/// bits and for bad Base64.
caf::expected<value> parse_cli_value(std::string_view text);

/// `{"columns":[...], "rows":[[...]]}`
nlohmann::json as_json(const rowset& x);

/// `{"outcome":"committed", "replayed", "commit_seq", "request_id", "results":[{"changes", "last_insert_rowid",
/// "columns", "rows"}]}`
nlohmann::json as_json(const write_result& x);

/// `{"columns", "rows", "truncated", "source", "as_of_seq"}`
nlohmann::json as_json(const read_result& x);

/// `{"code", "message", "outcome"}`, and of `retry_after_ms`, `attempts`, `waited_ms` and `request_id` what there is.
/// `data` of a JSON-RPC error.
nlohmann::json as_json(const failure& x);

/// `{"error": ...}`: what a command prints with `--json` when it fails.
nlohmann::json error_document(const failure& x);

/// A flat object with the names of the audit's fields: `ts` in ISO 8601 (UTC, microseconds) with `ts_us` beside it,
/// `key` as `idempotency_key` or, of reads, as `read_key`, `latency_ms` with three decimals; `peer_uid` and `peer_pid`
/// only of other processes.
nlohmann::json as_json(const audit_record& x, std::string_view store_root);

/// `{"store_root", "records":[...]}`
nlohmann::json as_json(const audit_page& x);

/// `{"intact", "records", "broken", "head"}`, and if broken `first_broken` and `reason`.
nlohmann::json as_json(const audit_verdict& x);

/// `{"id", "ts", "ts_us", "level", "source", "agent", "message"}`: `ts` in ISO 8601 (UTC, microseconds).
nlohmann::json as_json(const log_entry& x);

/// `{"entries":[...]}`
nlohmann::json as_json(const log_page& x);

/// `{column: value}`
nlohmann::json as_json(const std::vector<named_value>& columns);

/// `{"pending", "journaled"}`
nlohmann::json as_json(const buffer_receipt& x);

/// `{"found", "pending", "row":{column: value}}`; the row only if there is one.
nlohmann::json as_json(const buffered_row& x);

/// `{"flushed", "set_aside", "kept"}`, and `reason` if rows were kept.
nlohmann::json as_json(const flush_report& x);

/// `{"id", "ts", "ts_us", "code", "message", "db", "table", "operation", "key", "values", "agent"}`; of a row that cannot
/// be read only the first five.
nlohmann::json as_json(const rejected_row& x);

/// `{"rows":[...]}`
nlohmann::json as_json(const rejected_page& x);

/// A time of the audit in ISO 8601, UTC, with microseconds: `2024-02-29T12:00:00.000001Z`; held to the years 0000 to
/// 9999.
std::string iso_time(int64_t unix_us);

} // namespace sluice
