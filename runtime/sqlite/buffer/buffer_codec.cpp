#include "runtime/sqlite/buffer/buffer_codec.hpp"

#include "runtime/sqlite/ledger/cbor_values.hpp"

#include <nlohmann/json.hpp>

namespace sluice::sqlite {

namespace {

using nlohmann::json;

constexpr int64_t row_format = 1;

void encode_values(cbor_writer& to, const std::vector<named_value>& columns) {
  to.array(2 * columns.size());
  for (const auto& [name, content] : columns) {
    to.text(name);
    encode(to, content);
  }
}

std::vector<named_value> decode_columns(const json& document) {
  std::vector<named_value> result;
  for (size_t i = 0; i < document.size(); i += 2)
    result.push_back({document.at(i).get<std::string>(), decode_value(document.at(i + 1))});
  return result;
}

std::optional<buffer_operation> operation_of(const std::string& word) {
  for (auto known : {buffer_operation::upsert, buffer_operation::update, buffer_operation::erase})
    if (to_string(known) == word)
      return known;
  return std::nullopt;
}

bool is_ours(const json& document, size_t size) {
  return document.is_array() && document.size() == size && document[0] == row_format;
}

} // namespace

std::string encode_put(const buffer_put& operation) {
  std::string out;
  cbor_writer to{out};
  to.array(9);
  to.integer(row_format);
  to.text(operation.row.db);
  to.text(operation.row.table);
  encode_values(to, operation.row.columns);
  to.text(to_string(operation.operation));
  encode_values(to, operation.values);
  to.text(operation.agent);
  to.integer(operation.peer.uid);
  to.integer(operation.peer.pid);
  return out;
}

std::optional<buffer_put> decode_put(std::string_view bytes) {
  try {
    auto all = parse_cbor(bytes);
    if (!is_ours(all, 9))
      return std::nullopt;
    buffer_put result;
    all[1].get_to(result.row.db);
    all[2].get_to(result.row.table);
    result.row.columns = decode_columns(all[3]);
    auto operation = operation_of(all[4].get<std::string>());
    if (!operation)
      return std::nullopt;
    result.operation = *operation;
    result.values = decode_columns(all[5]);
    all[6].get_to(result.agent);
    result.peer.uid = static_cast<uint32_t>(decode_integer(all[7]));
    result.peer.pid = static_cast<uint32_t>(decode_integer(all[8]));
    return result;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

std::string encode_request(const write_request& request) {
  std::string out;
  cbor_writer to{out};
  to.array(10);
  to.integer(row_format);
  to.text(request.db);
  to.array(request.statements.size());
  for (const auto& each : request.statements)
    encode(to, each);
  to.text(request.agent);
  to.text(request.request_id);
  to.text(request.idempotency_key);
  to.text(request.correlation_id);
  to.integer(request.deadline.count());
  to.integer(request.peer.uid);
  to.integer(request.peer.pid);
  return out;
}

std::optional<write_request> decode_request(std::string_view bytes) {
  try {
    auto all = parse_cbor(bytes);
    if (!is_ours(all, 10))
      return std::nullopt;
    write_request result;
    all[1].get_to(result.db);
    for (const auto& each : all[2])
      result.statements.push_back(decode_statement(each));
    all[3].get_to(result.agent);
    all[4].get_to(result.request_id);
    all[5].get_to(result.idempotency_key);
    all[6].get_to(result.correlation_id);
    result.deadline = std::chrono::milliseconds{decode_integer(all[7])};
    result.peer.uid = static_cast<uint32_t>(decode_integer(all[8]));
    result.peer.pid = static_cast<uint32_t>(decode_integer(all[9]));
    return result;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

} // namespace sluice::sqlite
