#include "runtime/sqlite/ledger/ledger_keys.hpp"

#include <algorithm>
#include <utility>

namespace sluice::sqlite {

namespace {

using recalled = caf::expected<std::optional<write_result>>;

// Longer results are stored in the row of a key, which the retention removes.
constexpr size_t longest_recorded_results = 512;

caf::error another_payload() {
  return make_error(errc::payload_mismatch, "this idempotency key was used for another request");
}

} // namespace

caf::expected<void> ledger_keys::prepare(boot_ranges boots) {
  boot_tag_ = boot_tag_of(time_.boot_id());
  boots_ = std::move(boots);
  return prepare_all(
    db_, {{&find_key_, "SELECT payload, commit_seq, outcome FROM _sluice_keys WHERE key = ?1"},
          {&insert_key_, "INSERT INTO _sluice_keys(key, payload, commit_seq, created_us, outcome) "
                         "VALUES (?1, ?2, ?3, ?4, ?5)"},
          {&find_record_, "SELECT requests FROM _sluice_commits WHERE commit_seq = ?1"},
          {&scan_records_, "SELECT commit_seq, requests FROM _sluice_commits WHERE commit_seq BETWEEN ?1 AND ?2 "
                           "ORDER BY commit_seq DESC"}});
}

recalled ledger_keys::recall(const write_request& request, uint64_t next_seq) {
  if (auto key = parse_automatic_key(request.idempotency_key))
    return recall_recorded(request, *key, next_seq);
  return find_row(request);
}

recalled ledger_keys::find_row(const write_request& request) {
  find_key_.bind_text(1, request.idempotency_key);
  auto row = find_key_.step();
  auto known = [&]() -> recalled {
    if (!row)
      return std::move(row.error());
    if (!*row)
      return std::optional<write_result>{};
    if (find_key_.blob(0) != bytes_of(payload_digest(hash_, request)))
      return another_payload();
    auto result = decode_outcome(find_key_.blob(2));
    if (!result)
      return make_error(errc::corrupt, "the outcome kept under this idempotency key cannot be read");
    result->replayed = true;
    result->commit_seq = static_cast<uint64_t>(find_key_.integer(1));
    return result;
  };
  auto result = known();
  find_key_.reset();
  return result;
}

recalled ledger_keys::recall_recorded(const write_request& request, const automatic_key& key, uint64_t next_seq) {
  if (is_recordable(key) && key.since_boot_ms > since_boot_ms())
    return make_error(errc::invalid_request, "the idempotency key is one of a client library, but its time is ahead of "
                                             "the clock of this machine; use a key of your own");
  if (auto pending = pending_.find(key); pending != pending_.end()) {
    const auto& [record, request_id] = pending->second;
    if (record.results.empty())
      return find_row(request);
    return answer(request, {next_seq, {request_id, record.payload, decode_results(record.results)}});
  }
  recent_keys::answer recent;
  if (is_recordable(key)) {
    recent = recent_.find(key);
    auto found = find_in_memory(key, recent);
    if (!found)
      return std::move(found.error());
    if (*found)
      return answer(request, std::move(**found));
    if (recent.is_complete)
      return std::optional<write_result>{};
  }
  // A version without automatic keys in commit records, or another boot of the machine, gave the key a row.
  if (auto row = find_row(request); !row || *row)
    return row;
  for (auto commits : boots_.find(key.boot, recent.oldest_seq.value_or(next_seq))) {
    auto found = scan(key, commits);
    if (!found)
      return std::move(found.error());
    if (*found)
      return answer(request, std::move(**found));
  }
  return std::optional<write_result>{};
}

caf::expected<std::optional<ledger_keys::kept_outcome>> ledger_keys::find_in_memory(const automatic_key& key,
                                                                                    recent_keys::answer& recent) {
  using result = std::optional<kept_outcome>;
  for (auto seq : recent.candidates) {
    find_record_.bind(1, static_cast<int64_t>(seq));
    auto row = find_record_.step();
    auto found =
      row && *row ? find_key(find_record_.blob(0), key) : caf::expected<std::optional<found_key>>{std::nullopt};
    find_record_.reset();
    if (!row)
      return std::move(row.error());
    if (!found)
      return std::move(found.error());
    if (*found)
      return result{{seq, std::move(**found)}};
  }
  return result{};
}

// Searches from the newest commit back to the time at which the key was generated.
caf::expected<std::optional<ledger_keys::kept_outcome>> ledger_keys::scan(const automatic_key& key,
                                                                          boot_ranges::range commits) {
  scan_records_.bind(1, static_cast<int64_t>(commits.first));
  scan_records_.bind(2, static_cast<int64_t>(commits.last));
  auto search = [&]() -> caf::expected<std::optional<kept_outcome>> {
    for (;;) {
      auto row = scan_records_.step();
      if (!row)
        return std::move(row.error());
      if (!*row)
        return std::optional<kept_outcome>{};
      auto requests = scan_records_.blob(1);
      if (auto time = read_record_time(requests); !time || *time < key.since_boot_ms)
        return std::optional<kept_outcome>{};
      auto found = find_key(requests, key);
      if (!found)
        return std::move(found.error());
      if (*found)
        return std::optional{kept_outcome{static_cast<uint64_t>(scan_records_.integer(0)), std::move(**found)}};
    }
  };
  auto result = search();
  scan_records_.reset();
  return result;
}

recalled ledger_keys::answer(const write_request& request, kept_outcome found) {
  if (!found.content.result)
    return find_row(request);
  if (found.content.payload != digest_of(request))
    return another_payload();
  auto& result = *found.content.result;
  result.request_id = std::move(found.content.request_id);
  result.replayed = true;
  result.commit_seq = found.seq;
  return std::optional{std::move(result)};
}

caf::expected<void> ledger_keys::remember(const write_request& request, const write_result& result, uint64_t next_seq,
                                          int64_t now_us) {
  auto key = parse_automatic_key(request.idempotency_key);
  auto recordable = key && is_recordable(*key);
  if (recordable) {
    auto results = encode_results(result);
    auto is_long = results.size() > longest_recorded_results;
    pending_[*key] = {{*key, digest_of(request), is_long ? std::string{} : std::move(results)}, result.request_id};
    if (!is_long)
      return caf::unit;
  }
  auto payload = payload_digest(hash_, request);
  auto outcome = encode_outcome(result);
  insert_key_.bind_text(1, request.idempotency_key);
  insert_key_.bind_blob(2, bytes_of(payload));
  insert_key_.bind(3, static_cast<int64_t>(next_seq));
  insert_key_.bind(4, now_us);
  insert_key_.bind_blob(5, outcome);
  return insert_key_.run();
}

void ledger_keys::encode(std::span<const ledger_entry> entries, std::string& out) {
  entry_keys_.clear();
  for (const auto& entry : entries) {
    auto key = pending_.empty() ? std::nullopt : parse_automatic_key(entry.request->idempotency_key);
    auto found = key ? pending_.find(*key) : pending_.end();
    entry_keys_.push_back(found == pending_.end() ? nullptr : &found->second.record);
  }
  encoded_at_ms_ = since_boot_ms();
  encode_requests(entries, entry_keys_, encoded_at_ms_, boot_tag_, out);
}

void ledger_keys::committed(uint64_t seq) {
  std::vector<uint64_t> hashes;
  hashes.reserve(pending_.size());
  for (const auto& [key, outcome] : pending_)
    hashes.push_back(recent_keys::hash_of(key));
  recent_.add(seq, encoded_at_ms_, std::move(hashes));
  pending_.clear();
}

void ledger_keys::lost() noexcept {
  pending_.clear();
  recent_.clear();
}

uint64_t ledger_keys::since_boot_ms() const {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(time_.since_boot()).count());
}

short_digest ledger_keys::digest_of(const write_request& request) {
  auto whole = payload_digest(hash_, request);
  short_digest result;
  std::copy_n(whole.begin(), result.size(), result.begin());
  return result;
}

} // namespace sluice::sqlite
