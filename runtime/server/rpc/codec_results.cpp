#include "runtime/server/rpc/codec.hpp"

#include "runtime/json/hex.hpp"
#include "runtime/json/json.hpp"
#include "runtime/server/rpc/json_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sluice::rpc {

namespace {

using nlohmann::json;

constexpr std::string_view whole_result = "result";

// Ignores members that this version does not know.
caf::error pass_over() { return caf::none; }

template <class Result> caf::expected<Result> result_or_mismatch(const caf::error& error, Result& result) {
  if (!error)
    return std::move(result);
  return unreadable_answer(error);
}

caf::error take_rows(const json& source, rowset& to) {
  if (auto error = check_object(source, whole_result, {"columns", "rows"}))
    return error;
  std::vector<std::string> columns;
  if (auto error = rpc::take(source["columns"], "columns", columns))
    return error;
  const auto& rows = source["rows"];
  auto fits = [&](const json& row) { return row.is_array() && row.size() == columns.size(); };
  if (!rows.is_array() || !std::all_of(rows.begin(), rows.end(), fits) || (columns.empty() && !rows.empty()))
    return invalid("rows", "must be an array of rows with a value for each column");
  to = rowset{std::make_shared<const rowset::column_names>(std::move(columns))};
  for (const auto& row : rows)
    for (const auto& cell : row) {
      auto content = value_from_json(cell, "rows");
      if (!content)
        return std::move(content.error());
      to.append(std::move(*content));
    }
  return caf::none;
}

caf::error read_part(const json& source, statement_result& to) {
  if (auto error = take_rows(source, to.rows))
    return error;
  return read_object(source, whole_result, {"changes", "last_insert_rowid"},
                     [&](const std::string& name, const json& content) {
                       if (name == "changes")
                         return rpc::take(content, name, to.changes);
                       if (name == "last_insert_rowid")
                         return rpc::take(content, name, to.last_insert_rowid);
                       return pass_over();
                     });
}

caf::error read_part(const json& content, std::string_view field, std::vector<statement_result>& to) {
  if (!content.is_array())
    return invalid(field, "must be an array");
  to.resize(content.size());
  for (size_t i = 0; i < to.size(); ++i)
    if (auto error = read_part(content[i], to[i]))
      return error;
  return caf::none;
}

// Finds an enumerator by its name.
template <class Enum> caf::error take_enum(const json& content, std::string_view field, Enum last, Enum& to) {
  for (auto i = 0; i <= static_cast<int>(last); ++i)
    if (content == to_string(static_cast<Enum>(i))) {
      to = static_cast<Enum>(i);
      return caf::none;
    }
  return invalid(field, "is not a name of this version");
}

// A broker of another version may know requests that this one does not.
caf::error take_type(const json& content, std::string_view field, request_type& to) {
  std::string name;
  if (auto error = rpc::take(content, field, name))
    return error;
  to = request_type_of(name);
  return caf::none;
}

caf::error take_milliseconds(const json& content, std::string_view field, uint64_t& to_us) {
  constexpr double limit = 1e15;
  auto ms = content.is_number() ? content.get<double>() : -1;
  if (!(ms >= 0 && ms <= limit))
    return invalid(field, "must be a time in milliseconds");
  to_us = static_cast<uint64_t>(std::llround(ms * 1000));
  return caf::none;
}

caf::error take_tables(const json& content, std::string_view field, table_set& to) {
  std::vector<std::string> tables;
  if (auto error = rpc::take(content, field, tables))
    return error;
  if (!tables.empty())
    to = std::make_shared<const std::vector<std::string>>(std::move(tables));
  return caf::none;
}

caf::error take_hash(const json& content, std::string_view field, std::string& to) {
  std::string text;
  if (auto error = rpc::take(content, field, text))
    return error;
  auto bytes = from_hex(text);
  to = bytes.value_or("");
  return bytes ? caf::error{} : invalid(field, "must be a hash in hexadecimal");
}

caf::error read_part(const json& source, audit_record& to) {
  request_grant grant;
  auto take_member = [&](const std::string& name, const json& content) {
    if (name == "seq")
      return rpc::take(content, name, to.seq);
    if (name == "ts_us")
      return rpc::take(content, name, to.ts_us);
    if (name == "request_id")
      return rpc::take(content, name, to.request_id);
    if (name == "agent")
      return rpc::take(content, name, to.agent);
    if (name == "db")
      return rpc::take(content, name, to.db);
    if (name == "request_type")
      return take_type(content, name, to.type);
    if (name == "idempotency_key" || name == "read_key")
      return rpc::take(content, name, to.key);
    if (name == "status")
      return rpc::take(content, name, to.status);
    if (name == "latency_ms")
      return take_milliseconds(content, name, to.latency_us);
    if (name == "commit_seq")
      return rpc::take(content, name, to.commit_seq);
    if (name == "tables")
      return take_tables(content, name, to.tables);
    if (name == "correlation_id")
      return rpc::take(content, name, to.correlation_id);
    if (name == "peer_uid")
      return rpc::take(content, name, to.peer.uid);
    if (name == "peer_pid")
      return rpc::take(content, name, to.peer.pid);
    if (name == "count")
      return rpc::take(content, name, to.count);
    if (name == "recovered")
      return rpc::take(content, name, to.recovered);
    if (name == "capsule")
      return take_hash(content, name, grant.capsule_hash);
    if (name == "policy")
      return take_hash(content, name, grant.policy_hash);
    if (name == "reason")
      return rpc::take(content, name, to.reason);
    return pass_over();
  };
  auto error = read_object(source, "records", {"seq", "ts_us", "agent", "db", "request_type", "status"}, take_member);
  if (!grant.capsule_hash.empty())
    to.grant = std::make_shared<const request_grant>(std::move(grant));
  return error;
}

caf::error read_part(const json& content, std::string_view field, std::vector<audit_record>& to) {
  if (!content.is_array())
    return invalid(field, "must be an array");
  to.resize(content.size());
  for (size_t i = 0; i < to.size(); ++i)
    if (auto error = read_part(content[i], to[i]))
      return error;
  return caf::none;
}

} // namespace

caf::expected<write_result> write_result_from_json(const json& result) {
  write_result to;
  auto error = read_object(result, whole_result, {"outcome", "replayed", "commit_seq", "request_id", "results"},
                           [&](const std::string& name, const json& content) {
                             if (name == "outcome" && content != to_string(outcome::committed))
                               return invalid(name, "must be \"committed\"");
                             if (name == "replayed")
                               return rpc::take(content, name, to.replayed);
                             if (name == "commit_seq")
                               return rpc::take(content, name, to.commit_seq);
                             if (name == "request_id")
                               return rpc::take(content, name, to.request_id);
                             if (name == "results")
                               return read_part(content, name, to.results);
                             return pass_over();
                           });
  return result_or_mismatch(error, to);
}

namespace {

caf::error take_statement_rows(const json& content, read_result& to) {
  if (!content.is_array() || content.empty())
    return invalid("results", "must be an array with an entry for each statement");
  for (const auto& each : content) {
    rowset rows;
    auto truncated = false;
    if (auto error = take_rows(each, rows))
      return error;
    if (!each.contains("truncated"))
      return invalid("results", "has an entry without truncated");
    if (auto error = rpc::take(each["truncated"], "results.truncated", truncated))
      return error;
    auto shared = std::make_shared<const rowset>(std::move(rows));
    if (to.rows) {
      to.more.push_back({std::move(shared), truncated});
    } else {
      to.rows = std::move(shared);
      to.first_truncated = truncated;
    }
  }
  return caf::none;
}

} // namespace

caf::expected<read_result> read_result_from_json(const json& result) {
  read_result to;
  rowset rows;
  auto has_several = result.is_object() && result.contains("results");
  auto error = has_several ? take_statement_rows(result["results"], to) : take_rows(result, rows);
  if (!error)
    error = read_object(result, whole_result, {"truncated", "source", "as_of_seq"},
                        [&](const std::string& name, const json& content) {
                          if (name == "truncated")
                            return rpc::take(content, name, to.truncated);
                          if (name == "source")
                            return take_enum(content, name, read_source::database, to.source);
                          if (name == "as_of_seq")
                            return rpc::take(content, name, to.as_of_seq);
                          return pass_over();
                        });
  if (!has_several)
    to.rows = std::make_shared<const rowset>(std::move(rows));
  return result_or_mismatch(error, to);
}

caf::expected<cursor_page> cursor_page_from_json(const json& result) {
  cursor_page to;
  rowset rows;
  auto error = take_rows(result, rows);
  if (!error)
    error = read_object(result, whole_result, {"cursor", "done", "as_of_seq"},
                        [&](const std::string& name, const json& content) {
                          if (name == "cursor")
                            return rpc::take(content, name, to.cursor);
                          if (name == "done")
                            return rpc::take(content, name, to.is_last);
                          if (name == "as_of_seq")
                            return rpc::take(content, name, to.as_of_seq);
                          return pass_over();
                        });
  to.rows = std::make_shared<const rowset>(std::move(rows));
  return result_or_mismatch(error, to);
}

caf::expected<audit_page> audit_page_from_json(const json& result) {
  audit_page to;
  auto error =
    read_object(result, whole_result, {"store_root", "records"}, [&](const std::string& name, const json& content) {
      if (name == "store_root")
        return rpc::take(content, name, to.store_root);
      if (name == "records")
        return read_part(content, name, to.records);
      return pass_over();
    });
  return result_or_mismatch(error, to);
}

caf::expected<audit_verdict> audit_verdict_from_json(const json& result) {
  audit_verdict to;
  auto error =
    read_object(result, whole_result, {"records", "broken", "head"}, [&](const std::string& name, const json& content) {
      if (name == "records")
        return rpc::take(content, name, to.records);
      if (name == "broken")
        return rpc::take(content, name, to.broken);
      if (name == "head")
        return rpc::take(content, name, to.head);
      if (name == "first_broken")
        return rpc::take(content, name, to.first_broken);
      if (name == "pruned")
        return rpc::take(content, name, to.pruned);
      if (name == "reason")
        return rpc::take(content, name, to.reason);
      if (name == "problems")
        return rpc::take(content, name, to.problems);
      return pass_over();
    });
  return result_or_mismatch(error, to);
}

} // namespace sluice::rpc
