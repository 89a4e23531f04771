#include "runtime/sqlite/buffer/buffer_codec.hpp"

#include "runtime/sqlite/ledger/cbor_values.hpp"

#include <nlohmann/json.hpp>

namespace sluice::sqlite {

namespace {

using nlohmann::json;

constexpr int64_t row_format = 1;

void encode_values(cbor_writer& to, const std::vector<named_value>& x) {
  to.array(2 * x.size());
  for (const auto& [name, content] : x) {
    to.text(name);
    encode(to, content);
  }
}

std::vector<named_value> decode_columns(const json& x) {
  std::vector<named_value> result;
  for (size_t i = 0; i < x.size(); i += 2)
    result.push_back({x.at(i).get<std::string>(), decode_value(x.at(i + 1))});
  return result;
}

std::optional<buffer_operation> operation_of(const std::string& word) {
  for (auto x : {buffer_operation::upsert, buffer_operation::update, buffer_operation::erase})
    if (to_string(x) == word)
      return x;
  return std::nullopt;
}

bool is_ours(const json& x, size_t size) { return x.is_array() && x.size() == size && x[0] == row_format; }

} // namespace

std::string encode_put(const buffer_put& x) {
  std::string out;
  cbor_writer to{out};
  to.array(9);
  to.integer(row_format);
  to.text(x.row.db);
  to.text(x.row.table);
  encode_values(to, x.row.columns);
  to.text(to_string(x.operation));
  encode_values(to, x.values);
  to.text(x.agent);
  to.integer(x.peer.uid);
  to.integer(x.peer.pid);
  return out;
}

std::optional<buffer_put> decode_put(std::string_view bytes) {
  try {
    auto all = parse_cbor(bytes);
    if (!is_ours(all, 9))
      return std::nullopt;
    buffer_put x;
    all[1].get_to(x.row.db);
    all[2].get_to(x.row.table);
    x.row.columns = decode_columns(all[3]);
    auto operation = operation_of(all[4].get<std::string>());
    if (!operation)
      return std::nullopt;
    x.operation = *operation;
    x.values = decode_columns(all[5]);
    all[6].get_to(x.agent);
    x.peer.uid = static_cast<uint32_t>(decode_integer(all[7]));
    x.peer.pid = static_cast<uint32_t>(decode_integer(all[8]));
    return x;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

std::string encode_request(const write_request& x) {
  std::string out;
  cbor_writer to{out};
  to.array(10);
  to.integer(row_format);
  to.text(x.db);
  to.array(x.statements.size());
  for (const auto& each : x.statements)
    encode(to, each);
  to.text(x.agent);
  to.text(x.request_id);
  to.text(x.idempotency_key);
  to.text(x.correlation_id);
  to.integer(x.deadline.count());
  to.integer(x.peer.uid);
  to.integer(x.peer.pid);
  return out;
}

std::optional<write_request> decode_request(std::string_view bytes) {
  try {
    auto all = parse_cbor(bytes);
    if (!is_ours(all, 10))
      return std::nullopt;
    write_request x;
    all[1].get_to(x.db);
    for (const auto& each : all[2])
      x.statements.push_back(decode_statement(each));
    all[3].get_to(x.agent);
    all[4].get_to(x.request_id);
    all[5].get_to(x.idempotency_key);
    all[6].get_to(x.correlation_id);
    x.deadline = std::chrono::milliseconds{decode_integer(all[7])};
    x.peer.uid = static_cast<uint32_t>(decode_integer(all[8]));
    x.peer.pid = static_cast<uint32_t>(decode_integer(all[9]));
    return x;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

} // namespace sluice::sqlite
