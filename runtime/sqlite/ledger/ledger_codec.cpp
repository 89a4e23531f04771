#include "runtime/sqlite/ledger/ledger_codec.hpp"

#include "runtime/sqlite/ledger/cbor_reader.hpp"
#include "runtime/sqlite/ledger/cbor_values.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cassert>

namespace sluice::sqlite {

namespace {

using nlohmann::json;

// A grant adds one to either.
constexpr size_t items_without_outcome = 7;
constexpr size_t items_with_outcome = 9;

// The time of a commit record, to which its automatic keys are relative.
struct record_time {
  uint64_t since_boot_ms = 0;
  uint32_t boot = 0;
};

void append_varint(std::string& to, uint64_t number) {
  for (; number >= 0x80; number >>= 7U)
    to.push_back(static_cast<char>(number | 0x80U));
  to.push_back(static_cast<char>(number));
}

// The bytes of an automatic key: the session in network order, then the counter and the age in milliseconds, both in
// groups of seven bits, the lowest first (LEB128).
std::string encode_key(const automatic_key& key, const record_time& time) {
  assert(time.since_boot_ms >= key.since_boot_ms);
  std::string bytes;
  for (auto shift = 64U; shift > 0; shift -= 8)
    bytes.push_back(static_cast<char>(key.session >> (shift - 8)));
  append_varint(bytes, key.counter);
  append_varint(bytes, time.since_boot_ms - key.since_boot_ms);
  return bytes;
}

automatic_key decode_key(const json& item, const record_time& time) {
  const auto& bytes = item.get_binary();
  size_t at = 0;
  auto next = [&] { return at < bytes.size() ? uint64_t{bytes[at++]} : 0; };
  auto varint = [&] {
    uint64_t number = 0;
    for (auto shift = 0U; shift < 64; shift += 7) {
      auto byte = next();
      number |= (byte & 0x7fU) << shift;
      if (byte < 0x80)
        break;
    }
    return number;
  };
  automatic_key key;
  for (auto i = 0; i < 8; ++i)
    key.session = key.session << 8U | next();
  key.counter = varint();
  key.since_boot_ms = time.since_boot_ms - varint();
  key.boot = time.boot;
  return key;
}

void encode_tables(cbor_writer& to, const table_set& tables) {
  to.array(tables ? tables->size() : 0);
  if (tables)
    for (const auto& table : *tables)
      to.text(table);
}

void encode_hash(cbor_writer& to, const std::string& hash, const std::string* before) {
  if (before != nullptr && *before == hash)
    to.null();
  else
    to.bytes(hash);
}

void encode_grant(cbor_writer& to, const request_grant& grant, const request_grant* before) {
  auto has_capsule = !grant.capsule_hash.empty();
  to.array(has_capsule ? 3 : 1);
  encode_hash(to, grant.policy_hash, before ? &before->policy_hash : nullptr);
  if (!has_capsule)
    return;
  encode_hash(to, grant.capsule_hash, before ? &before->capsule_hash : nullptr);
  to.integer(grant.verified_us);
}

std::string decode_hash(const json& item, const std::string& before) {
  if (item.is_null())
    return before;
  const auto& bytes = item.get_binary();
  return {bytes.begin(), bytes.end()};
}

void decode_grant(const json& item, const ledger_request& before, ledger_request& to) {
  to.policy_hash = decode_hash(item.at(0), before.policy_hash);
  if (item.size() == 1)
    return;
  to.capsule_hash = decode_hash(item.at(1), before.capsule_hash);
  to.verified_us = decode_integer(item.at(2));
}

bool item_has_outcome(const json& item) { return item.size() >= items_with_outcome; }

bool are_equal(const table_set& a, const table_set& b) { return a == b || (a && b && *a == *b); }

// `before` is the previous request in the record.
ledger_request decode_ledger_request(const json& item, const record_time& time, const ledger_request& before) {
  ledger_request result;
  item.at(0).get_to(result.request_id);
  result.agent = item.at(1).is_null() ? before.agent : item.at(1).get<std::string>();
  const auto& key = item.at(2);
  result.idempotency_key = key.is_binary() ? to_string(decode_key(key, time)) : key.get<std::string>();
  item.at(3).get_to(result.correlation_id);
  result.tables = item.at(4).is_null() ? before.tables : item.at(4).get<std::vector<std::string>>();
  result.peer.uid = static_cast<uint32_t>(decode_integer(item.at(5)));
  result.peer.pid = static_cast<uint32_t>(decode_integer(item.at(6)));
  result.has_outcome = item_has_outcome(item);
  auto items = result.has_outcome ? items_with_outcome : items_without_outcome;
  if (item.size() > items)
    decode_grant(item.at(items), before, result);
  return result;
}

[[noreturn]] void refuse(const char* reason) { throw json::other_error::create(501, reason, nullptr); }

struct decoded_record {
  explicit decoded_record(std::string_view bytes) : whole(parse_cbor(bytes)) {
    if (!whole.is_array())
      refuse("not a commit record");
    if (whole.size() != 3 || !whole.front().is_number())
      return;
    time = {static_cast<uint64_t>(decode_integer(whole.at(0))), static_cast<uint32_t>(decode_integer(whole.at(1)))};
    if (!whole.back().is_array())
      refuse("not a list of requests");
    is_format_2 = true;
  }

  const json& requests() const { return is_format_2 ? whole.back() : whole; }

  const json whole;
  record_time time;
  bool is_format_2 = false;
};

statement_result decode_result(const json& item) {
  statement_result result;
  result.changes = decode_integer(item.at(0));
  result.last_insert_rowid = decode_integer(item.at(1));
  auto columns = item.size() == 2 ? rowset::column_names{} : item.at(2).get<rowset::column_names>();
  if (columns.empty())
    return result;
  result.rows = rowset{std::make_shared<const rowset::column_names>(std::move(columns))};
  for (const auto& cell : item.at(3))
    result.rows.append(decode_value(cell));
  return result;
}

std::vector<statement_result> decode_all(const json& items) {
  std::vector<statement_result> results;
  for (const auto& item : items)
    results.push_back(decode_result(item));
  return results;
}

void encode_rows(cbor_writer& to, const rowset& rows) {
  const auto& columns = rows.columns();
  to.array(columns.size());
  for (const auto& name : columns)
    to.text(name);
  to.array(rows.size() * columns.size());
  for (size_t i = 0; i < rows.size(); ++i)
    for (const auto& cell : rows.row(i))
      encode(to, cell);
}

void encode_result(cbor_writer& to, const statement_result& result) {
  to.array(4);
  to.integer(result.changes);
  to.integer(result.last_insert_rowid);
  encode_rows(to, result.rows);
}

} // namespace

void encode_requests(std::span<const ledger_entry> entries, std::span<const recorded_key* const> keys,
                     uint64_t since_boot_ms, uint32_t boot, std::string& out) {
  out.clear();
  cbor_writer to{out};
  to.array(3);
  to.integer(static_cast<int64_t>(since_boot_ms));
  to.integer(boot);
  to.array(entries.size());
  const ledger_entry* before = nullptr;
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto& [request, result, tables] = entries[i];
    const auto* key = keys[i];
    auto has_outcome = key != nullptr && !key->results.empty();
    const auto* grant = request->grant.get();
    to.array((has_outcome ? items_with_outcome : items_without_outcome) + (grant ? 1 : 0));
    to.text(request->request_id);
    if (before != nullptr && before->request->agent == request->agent)
      to.null();
    else
      to.text(request->agent);
    if (key != nullptr)
      to.bytes(encode_key(key->key, {since_boot_ms, boot}));
    else
      to.text(request->idempotency_key);
    to.text(request->correlation_id);
    if (before != nullptr && are_equal(before->tables, tables))
      to.null();
    else
      encode_tables(to, tables);
    to.integer(request->peer.uid);
    to.integer(request->peer.pid);
    if (has_outcome) {
      to.bytes({reinterpret_cast<const char*>(key->payload.data()), key->payload.size()});
      out += key->results;
    }
    if (grant)
      encode_grant(to, *grant, before != nullptr ? before->request->grant.get() : nullptr);
    before = &entries[i];
  }
}

std::optional<std::vector<ledger_request>> decode_requests(std::string_view bytes) {
  try {
    const decoded_record record{bytes};
    std::vector<ledger_request> result;
    const ledger_request none;
    for (const auto& each : record.requests())
      result.push_back(decode_ledger_request(each, record.time, result.empty() ? none : result.back()));
    return result;
  } catch (const json::exception&) {
    return {};
  }
}

std::optional<uint64_t> read_record_time(std::string_view requests) noexcept {
  cbor_reader from{requests};
  auto size = from.array();
  auto time = from.integer();
  return from.has_failed() || size != 3 || time < 0 ? std::nullopt : std::optional{static_cast<uint64_t>(time)};
}

caf::expected<std::optional<found_key>> find_key(std::string_view requests, const automatic_key& key) {
  auto time = read_record_time(requests);
  // Most records do not contain the key, and need not be decoded.
  if (!time || *time < key.since_boot_ms || requests.find(encode_key(key, {*time, key.boot})) == std::string_view::npos)
    return std::optional<found_key>{};
  try {
    const decoded_record record{requests};
    for (const auto& item : record.requests()) {
      if (!item.at(2).is_binary() || decode_key(item.at(2), record.time) != key)
        continue;
      found_key found;
      item.at(0).get_to(found.request_id);
      if (!item_has_outcome(item))
        return std::optional{std::move(found)};
      const auto& payload = item.at(7).get_binary();
      if (payload.size() != found.payload.size())
        refuse("a digest of another size");
      std::copy(payload.begin(), payload.end(), found.payload.begin());
      found.result.emplace().results = decode_all(item.at(8));
      return std::optional{std::move(found)};
    }
    // The bytes may be part of something else, such as a longer key.
    return std::optional<found_key>{};
  } catch (const json::exception&) {
    return make_error(errc::corrupt, "the commit record with this idempotency key cannot be read");
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

std::string encode_results(const write_result& result) {
  std::string out;
  cbor_writer to{out};
  to.array(result.results.size());
  for (const auto& each : result.results) {
    auto has_rows = !each.rows.columns().empty();
    to.array(has_rows ? 4 : 2);
    to.integer(each.changes);
    to.integer(each.last_insert_rowid);
    if (has_rows)
      encode_rows(to, each.rows);
  }
  return out;
}

std::optional<write_result> decode_outcome(std::string_view bytes) {
  try {
    auto all = parse_cbor(bytes);
    write_result result;
    all.at(0).get_to(result.request_id);
    result.results = decode_all(all.at(1));
    return result;
  } catch (const json::exception&) {
    return {};
  }
}

std::optional<write_result> decode_results(std::string_view bytes) {
  try {
    write_result result;
    result.results = decode_all(parse_cbor(bytes));
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
  // Encoded only if it is not the default, so that stored keys stay valid.
  if (!request.enforce_foreign_keys)
    to.text("foreign_keys off");
  if (request.migration)
    to.text("migration " + std::to_string(request.migration->number) + " " + request.migration->hash);
  return hash.add(canonical).finish();
}

digest commit_hash(chain_hash& hash, std::string_view previous, uint64_t seq, int64_t ts_us,
                   std::string_view requests) {
  return hash.add(previous).add(seq).add(static_cast<uint64_t>(ts_us)).add(requests).finish();
}

} // namespace sluice::sqlite
