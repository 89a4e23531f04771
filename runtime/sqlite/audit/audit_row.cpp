#include "runtime/sqlite/audit/audit_row.hpp"

#include "runtime/json/json_text.hpp"

#include <nlohmann/json.hpp>
#include <sqlite3.h>

#include <algorithm>
#include <type_traits>

namespace sluice::sqlite {

namespace {

using nlohmann::json;

template <class Field> constexpr bool is_number = std::is_same_v<std::remove_cv_t<Field>, int64_t>;

table_set read_tables(std::string_view text) {
  if (text.empty())
    return nullptr;
  auto parsed = json::parse(text, nullptr, false);
  std::vector<std::string> result;
  for (const auto& item : parsed.is_array() ? parsed : json::array())
    if (auto name = text_from_json(item))
      result.push_back(std::move(*name));
  // The store writes only lists of names.
  if (!parsed.is_array() || result.size() != parsed.size())
    result.assign(1, std::string{text});
  return std::make_shared<const std::vector<std::string>>(std::move(result));
}

} // namespace

audit_row to_row(const audit_record& record, int64_t store, std::string_view tables) {
  audit_row r;
  r.seq = static_cast<int64_t>(record.seq);
  r.ts_us = record.ts_us;
  r.request_id = record.request_id;
  r.agent = record.agent;
  r.store = store;
  r.db = record.db;
  r.request_type = to_string(record.type);
  r.key = record.key;
  r.status = record.status;
  r.latency_us = static_cast<int64_t>(record.latency_us);
  r.commit_seq = static_cast<int64_t>(record.commit_seq);
  r.tables = tables;
  r.correlation_id = record.correlation_id;
  r.peer_uid = record.peer.uid;
  r.peer_pid = record.peer.pid;
  r.count = record.count;
  r.recovered = record.recovered ? 1 : 0;
  if (record.grant && !record.grant->capsule_hash.empty()) {
    r.capsule = record.grant->capsule_hash;
    r.policy = record.grant->policy_hash;
  }
  r.reason = record.reason;
  return r;
}

audit_record to_record(const audit_row& row) {
  audit_record r;
  r.seq = static_cast<uint64_t>(row.seq);
  r.ts_us = row.ts_us;
  r.request_id = row.request_id;
  r.agent = row.agent;
  r.db = row.db;
  r.type = request_type_of(row.request_type);
  r.key = row.key;
  r.status = row.status;
  r.latency_us = static_cast<uint64_t>(row.latency_us);
  r.commit_seq = static_cast<uint64_t>(row.commit_seq);
  r.tables = read_tables(row.tables);
  r.correlation_id = row.correlation_id;
  r.peer.uid = static_cast<uint32_t>(row.peer_uid);
  r.peer.pid = static_cast<uint32_t>(row.peer_pid);
  r.count = static_cast<uint32_t>(row.count);
  r.recovered = row.recovered != 0;
  if (!row.capsule.empty())
    r.grant =
      std::make_shared<const request_grant>(request_grant{{}, std::string{row.capsule}, std::string{row.policy}, 0});
  r.reason = row.reason;
  return r;
}

std::string tables_text(const table_set& tables) {
  if (!tables || tables->empty())
    return {};
  return dump(texts_as_json(*tables));
}

stored_audit_row read_row(const prepared_statement& from) {
  stored_audit_row result;
  auto column = 0;
  auto has_type = [&](int type) { result.is_well_typed &= sqlite3_column_type(from.handle(), column) == type; };
  for_each_field(result.row, [&](const char*, auto& field) {
    if constexpr (is_number<std::remove_reference_t<decltype(field)>>) {
      has_type(SQLITE_INTEGER);
      field = from.integer(column++);
    } else {
      has_type(SQLITE_TEXT);
      field = from.text(column++);
    }
  });
  has_type(SQLITE_BLOB);
  result.prev_hash = from.blob(column++);
  has_type(SQLITE_BLOB);
  result.hash = from.blob(column);
  return result;
}

chain_hash::digest link_hash(chain_hash& hash, const audit_row& row, std::string_view store_root,
                             std::string_view prev_hash) {
  hash.add(prev_hash).add(store_root);
  for_each_field(row, [&](const char*, const auto& field) {
    if constexpr (is_number<std::remove_reference_t<decltype(field)>>)
      hash.add(static_cast<uint64_t>(field));
    else
      hash.add(field);
  });
  return hash.finish();
}

const std::string& audit_columns() {
  // Never destroyed: brokers that are static objects use it until their end.
  static const auto& text = *new auto{[] {
    std::string result;
    const audit_row row;
    for_each_field(row, [&](const char* column, const auto&) { result += std::string{column} + ", "; });
    return result + "prev_hash, hash";
  }()};
  return text;
}

} // namespace sluice::sqlite
