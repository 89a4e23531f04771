#include "runtime/sqlite/ledger/ledger_codec.hpp"

#include "runtime/sqlite/ledger/cbor_values.hpp"

#include <nlohmann/json.hpp>

namespace sluice::sqlite {

namespace {

using nlohmann::json;

ledger_request decode_ledger_request(const json& item) {
  ledger_request result;
  item.at(0).get_to(result.request_id);
  item.at(1).get_to(result.agent);
  item.at(2).get_to(result.idempotency_key);
  item.at(3).get_to(result.correlation_id);
  item.at(4).get_to(result.tables);
  result.peer.uid = static_cast<uint32_t>(decode_integer(item.at(5)));
  result.peer.pid = static_cast<uint32_t>(decode_integer(item.at(6)));
  return result;
}

statement_result decode_result(const json& item) {
  statement_result result;
  result.changes = decode_integer(item.at(0));
  result.last_insert_rowid = decode_integer(item.at(1));
  auto columns = item.at(2).get<rowset::column_names>();
  if (columns.empty())
    return result;
  result.rows = rowset{std::make_shared<const rowset::column_names>(std::move(columns))};
  for (const auto& cell : item.at(3))
    result.rows.append(decode_value(cell));
  return result;
}

void encode_result(cbor_writer& to, const statement_result& result) {
  to.array(4);
  to.integer(result.changes);
  to.integer(result.last_insert_rowid);
  const auto& columns = result.rows.columns();
  to.array(columns.size());
  for (const auto& name : columns)
    to.text(name);
  to.array(result.rows.size() * columns.size());
  for (size_t i = 0; i < result.rows.size(); ++i)
    for (const auto& cell : result.rows.row(i))
      encode(to, cell);
}

} // namespace

void encode_requests(std::span<const ledger_entry> entries, std::string& out) {
  out.clear();
  cbor_writer to{out};
  to.array(entries.size());
  for (const auto& [request, result, tables] : entries) {
    to.array(7);
    to.text(request->request_id);
    to.text(request->agent);
    to.text(request->idempotency_key);
    to.text(request->correlation_id);
    to.array(tables ? tables->size() : 0);
    if (tables)
      for (const auto& table : *tables)
        to.text(table);
    to.integer(request->peer.uid);
    to.integer(request->peer.pid);
  }
}

std::optional<std::vector<ledger_request>> decode_requests(std::string_view bytes) {
  try {
    auto all = parse_cbor(bytes);
    if (!all.is_array())
      return {};
    std::vector<ledger_request> result;
    for (const auto& each : all)
      result.push_back(decode_ledger_request(each));
    return result;
  } catch (const json::exception&) {
    return {};
  }
}

std::string encode_outcome(const write_result& result) {
  std::string out;
  cbor_writer to{out};
  to.array(2);
  to.text(result.request_id);
  to.array(result.results.size());
  for (const auto& each : result.results)
    encode_result(to, each);
  return out;
}

std::optional<write_result> decode_outcome(std::string_view bytes) {
  try {
    auto all = parse_cbor(bytes);
    write_result result;
    all.at(0).get_to(result.request_id);
    for (const auto& item : all.at(1))
      result.results.push_back(decode_result(item));
    return result;
  } catch (const json::exception&) {
    return {};
  }
}

digest payload_digest(chain_hash& hash, const write_request& request) {
  // CBOR encodes types and prefixes lengths, so no two payloads share an encoding.
  std::string canonical;
  cbor_writer to{canonical};
  to.array(request.statements.size());
  for (const auto& query : request.statements)
    encode(to, query);
  // Only where it is not the default: keys that are kept already stay valid.
  if (!request.enforce_foreign_keys)
    to.text("foreign_keys off");
  return hash.add(canonical).finish();
}

digest commit_hash(chain_hash& hash, std::string_view previous, uint64_t seq, int64_t ts_us,
                   std::string_view requests) {
  return hash.add(previous).add(seq).add(static_cast<uint64_t>(ts_us)).add(requests).finish();
}

} // namespace sluice::sqlite
