#pragma once

#include "actors/writer/write_store.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::sqlite {

using digest = chain_hash::digest;

/// One request of a commit, as the ledger remembers it.
struct ledger_request {
  std::string request_id;
  std::string agent;
  std::string idempotency_key;
  std::string correlation_id;
  std::vector<std::string> tables;
  peer_identity peer;
};

/// The column `requests` of a commit record: a CBOR array of [request id, agent, idempotency key, correlation id,
/// [tables], uid, pid]. `out` is overwritten.
void encode_requests(std::span<const ledger_entry> entries, std::string& out);

/// The reverse; nothing when `bytes` is something else.
std::optional<std::vector<ledger_request>> decode_requests(std::string_view bytes);

/// The column `outcome` of a key: a CBOR array of the request id and, per statement, [changes, last rowid, [columns],
/// [cells]], so that a replay repeats every value exactly.
std::string encode_outcome(const write_result& result);

/// The reverse, without `replayed` and `commit_seq`; nothing when `bytes` is something else.
std::optional<write_result> decode_outcome(std::string_view bytes);

/// The digest that makes two requests under one key the same: of their statements and typed parameters only. `hash` is
/// only for its buffer.
digest payload_digest(chain_hash& hash, const write_request& request);

/// The hash of a commit record, which covers the record before it through `previous`. `hash` is only for its buffer.
digest commit_hash(chain_hash& hash, std::string_view previous, uint64_t seq, int64_t ts_us, std::string_view requests);

} // namespace sluice::sqlite
