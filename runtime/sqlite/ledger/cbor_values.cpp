#include "runtime/sqlite/ledger/cbor_values.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <span>

namespace sluice::sqlite {

using nlohmann::json;

void encode(cbor_writer& to, const value& content) {
  switch (content.kind()) {
  case value_kind::null: return to.null();
  case value_kind::integer: return to.integer(*content.integer());
  case value_kind::real: return to.real(*content.real());
  case value_kind::text: return to.text(*content.text());
  case value_kind::blob: return to.bytes(*content.blob_bytes());
  }
}

void encode(cbor_writer& to, const statement& query) {
  // The names of the columns are left out: they change nothing that a repetition would do.
  auto returned = query.terms ? std::span{query.terms->returned} : std::span<const returned_value>{};
  to.array(!returned.empty() ? 5 : query.expected_changes ? 4 : 3);
  to.text(query.sql.str());
  to.array(query.params.positional.size());
  for (const auto& content : query.params.positional)
    encode(to, content);
  std::vector<const named_value*> named;
  for (const auto& content : query.params.named)
    named.push_back(&content);
  std::sort(named.begin(), named.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
  to.array(2 * named.size());
  for (const auto* content : named) {
    to.text(content->name);
    encode(to, content->content);
  }
  if (query.expected_changes)
    to.integer(static_cast<int64_t>(*query.expected_changes));
  else if (!returned.empty())
    to.null();
  if (returned.empty())
    return;
  to.array(3 * returned.size());
  for (const auto& each : returned) {
    to.text(each.parameter);
    to.integer(each.statements_back);
    to.text(each.column);
  }
}

json parse_cbor(std::string_view bytes) { return json::from_cbor(bytes.begin(), bytes.end(), true, false); }

value decode_value(const json& item) {
  if (item.is_null())
    return {};
  if (item.is_number_float())
    return item.get<double>();
  if (item.is_number_integer())
    return decode_integer(item);
  if (item.is_binary()) {
    const auto& bytes = item.get_binary();
    return blob{std::string{bytes.begin(), bytes.end()}};
  }
  return item.get<std::string>();
}

statement decode_statement(const json& item) {
  statement result;
  result.sql = sql_text{item.at(0).get<std::string>()};
  for (const auto& content : item.at(1))
    result.params.positional.push_back(decode_value(content));
  const auto& named = item.at(2);
  for (size_t i = 0; i < named.size(); i += 2)
    result.params.named.push_back({named.at(i).get<std::string>(), decode_value(named.at(i + 1))});
  if (item.size() > 3 && !item.at(3).is_null())
    result.expected_changes = static_cast<uint64_t>(decode_integer(item.at(3)));
  if (item.size() > 4) {
    statement_terms terms;
    const auto& returned = item.at(4);
    for (size_t i = 0; i < returned.size(); i += 3)
      terms.returned.push_back({returned.at(i).get<std::string>(),
                                static_cast<uint32_t>(decode_integer(returned.at(i + 1))),
                                returned.at(i + 2).get<std::string>()});
    result.terms = std::make_shared<const statement_terms>(std::move(terms));
  }
  return result;
}

// `get<int64_t>` would convert other types, too, as if every real had an integer.
int64_t decode_integer(const json& item) { return item.get_ref<const json::number_integer_t&>(); }

} // namespace sluice::sqlite
