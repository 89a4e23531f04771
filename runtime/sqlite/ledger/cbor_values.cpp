#include "runtime/sqlite/ledger/cbor_values.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sluice::sqlite {

using nlohmann::json;

void encode(cbor_writer& to, const value& x) {
  switch (x.kind()) {
  case value_kind::null: return to.null();
  case value_kind::integer: return to.integer(*x.integer());
  case value_kind::real: return to.real(*x.real());
  case value_kind::text: return to.text(*x.text());
  case value_kind::blob: return to.bytes(*x.blob_bytes());
  }
}

void encode(cbor_writer& to, const statement& x) {
  to.array(3);
  to.text(x.sql.str());
  to.array(x.params.positional.size());
  for (const auto& content : x.params.positional)
    encode(to, content);
  std::vector<const named_value*> named;
  for (const auto& content : x.params.named)
    named.push_back(&content);
  std::sort(named.begin(), named.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
  to.array(2 * named.size());
  for (const auto* content : named) {
    to.text(content->name);
    encode(to, content->content);
  }
}

json parse_cbor(std::string_view bytes) { return json::from_cbor(bytes.begin(), bytes.end(), true, false); }

value decode_value(const json& x) {
  if (x.is_null())
    return {};
  if (x.is_number_float())
    return x.get<double>();
  if (x.is_number_integer())
    return decode_integer(x);
  if (x.is_binary()) {
    const auto& bytes = x.get_binary();
    return blob{std::string{bytes.begin(), bytes.end()}};
  }
  return x.get<std::string>();
}

statement decode_statement(const json& x) {
  statement result;
  result.sql = sql_text{x.at(0).get<std::string>()};
  for (const auto& content : x.at(1))
    result.params.positional.push_back(decode_value(content));
  const auto& named = x.at(2);
  for (size_t i = 0; i < named.size(); i += 2)
    result.params.named.push_back({named.at(i).get<std::string>(), decode_value(named.at(i + 1))});
  return result;
}

// `get<int64_t>` would convert what is no integer, as if every real had one.
int64_t decode_integer(const json& x) { return x.get_ref<const json::number_integer_t&>(); }

} // namespace sluice::sqlite
