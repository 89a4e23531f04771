#pragma once

#include "actors/writer/write_store.hpp"
#include "messages/automatic_key.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"

#include <caf/expected.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::sqlite {

using digest = chain_hash::digest;

/// One request of a commit, as the ledger stores it.
struct ledger_request {
  std::string request_id;
  std::string agent;
  std::string idempotency_key;
  std::string correlation_id;
  std::vector<std::string> tables;
  peer_identity peer;
  /// Whether the record also contains the outcome for retries under its key, so that the key has no row.
  bool has_outcome = false;
  /// The hashes of its capsule and policy, 32 bytes each, and when the capsule was verified, by the clock of capsules;
  /// empty and 0 for none.
  std::string capsule_hash{};
  std::string policy_hash{};
  int64_t verified_us = 0;
};

/// The first bytes of `payload_digest`, enough to detect that a key was used for another request.
using short_digest = std::array<unsigned char, 8>;

/// An automatic key as a commit record stores it.
struct recorded_key {
  automatic_key key;
  short_digest payload{};
  /// As `encode_results` returns it; empty when the key has a row.
  std::string results;
};

/// The column `requests` of a commit record in format 2: a CBOR array of the milliseconds since the boot of the
/// machine, the tag of that boot (`boot_tag_of`) and an array of requests. Each of these is an array of request id,
/// agent, idempotency key, correlation id, [tables], uid and pid; with an automatic key that has no row, also of the
/// payload's digest and the results; with a grant, last of all, of an array of the hash of the policy and, with a
/// capsule, the hash of the capsule and the time when it was verified. Null for agent, tables or hash means that of the
/// request before. In format 1 it is only the array of requests.
/// @param keys for each entry its automatic key, of this boot and not later than the record, or null
void encode_requests(std::span<const ledger_entry> entries, std::span<const recorded_key* const> keys,
                     uint64_t since_boot_ms, uint32_t boot, std::string& out);

/// The requests in either format; nothing when `bytes` is something else.
std::optional<std::vector<ledger_request>> decode_requests(std::string_view bytes);

/// The milliseconds since the boot of the machine; nothing in a record of format 1.
std::optional<uint64_t> read_record_time(std::string_view requests) noexcept;

/// A request in a commit record.
struct found_key {
  std::string request_id;
  short_digest payload{};
  /// Nothing when the key has a row.
  std::optional<write_result> result;
};

/// The request with this key; nothing when there is none. `errc::corrupt` when the record contains the key, but is
/// unreadable.
caf::expected<std::optional<found_key>> find_key(std::string_view requests, const automatic_key& key);

/// The column `outcome` of a key: a CBOR array of the request id and, per statement, [changes, last rowid, [columns],
/// [cells]], so that a replay repeats every value exactly.
std::string encode_outcome(const write_result& result);

/// The reverse, without `replayed` and `commit_seq`; nothing when `bytes` has another form.
std::optional<write_result> decode_outcome(std::string_view bytes);

/// The results in the format of a commit record: per statement [changes, last rowid], followed by the columns and cells
/// if there are columns.
std::string encode_results(const write_result& result);

/// The reverse, as a result without other fields; nothing when `bytes` has another form.
std::optional<write_result> decode_results(std::string_view bytes);

/// Two requests under one key are the same if they have the same digest: it covers only their statements and typed
/// parameters. `hash` only provides its buffer.
digest payload_digest(chain_hash& hash, const write_request& request);

/// The hash of a commit record, which covers the record before it through `previous`. `hash` only provides its buffer.
digest commit_hash(chain_hash& hash, std::string_view previous, uint64_t seq, int64_t ts_us, std::string_view requests);

} // namespace sluice::sqlite
