#include "runtime/sqlite/ledger/ledger_state.hpp"

#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/ledger/ledger_codec.hpp"
#include "runtime/sqlite/ledger/ledger_meta.hpp"
#include "runtime/sqlite/ledger/ledger_schema.hpp"

#include <sstream>

namespace sluice::sqlite {

namespace {

// The number of commits that are checked whenever a ledger is entered; the doctor and `audit verify` check all.
constexpr int64_t recent_commits = 16;

bool is_plausible(int64_t time_ms) noexcept { return time_ms >= 1 && time_ms <= last_plausible_number; }

caf::expected<boot_ranges> read_boots(const connection& db) {
  auto content = read_meta(db, "boots");
  if (!content)
    return std::move(content.error());
  if (!*content)
    return boot_ranges{};
  auto boots = boot_ranges::parse(**content);
  return boots ? caf::expected<boot_ranges>{std::move(*boots)} : unreadable_meta("boots");
}

caf::expected<void> read_ends(const connection& db, ledger_state& to) {
  auto stmt = prepared_statement::prepare(
    db, "SELECT (SELECT min(commit_seq) FROM _sluice_commits), (SELECT max(commit_seq) FROM _sluice_commits),"
        " (SELECT min(id) FROM _sluice_keys), (SELECT max(id) FROM _sluice_keys)");
  if (!stmt)
    return std::move(stmt.error());
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  for (int i = 0; i < 4; ++i)
    if (!stmt->is_null(i) && !is_plausible(stmt->integer(i)))
      return ledger_damaged(std::string{i < 2 ? "_sluice_commits" : "_sluice_keys"} + " has a row numbered "
                            + std::to_string(stmt->integer(i)) + ", which the broker did not write");
  to.head_seq = static_cast<uint64_t>(stmt->integer(1));
  to.newest_key_id = stmt->integer(3);
  if (to.newest_key_id == 0)
    return caf::unit;
  auto key = prepared_statement::prepare(db, "SELECT commit_seq, created_us FROM _sluice_keys WHERE id = ?1");
  if (!key)
    return std::move(key.error());
  key->bind(1, to.newest_key_id);
  auto found = key->step();
  if (!found)
    return std::move(found.error());
  to.newest_key_us = key->integer(1);
  auto seq = key->integer(0);
  if (!is_plausible(seq) || !is_plausible(to.newest_key_us))
    return ledger_damaged("the newest row of _sluice_keys has numbers that the broker did not write");
  // Keys of an earlier epoch may have outlived their commits.
  if (static_cast<uint64_t>(seq) > to.head_seq && static_cast<uint64_t>(seq) >= to.epoch.first)
    return ledger_damaged("its newest key is of commit " + std::to_string(seq) + ", but its newest commit is "
                          + std::to_string(to.head_seq) + ": commit records were removed");
  return caf::unit;
}

// Checks from the newest on: each has its own hash, and follows from the one before it unless it begins an epoch.
caf::expected<void> check_recent(const connection& db, ledger_state& state) {
  auto stmt = prepared_statement::prepare(db, "SELECT " + std::string{commit_columns}
                                                + " FROM _sluice_commits c ORDER BY c.commit_seq DESC LIMIT ?1");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, recent_commits);
  chain_hash hash;
  uint64_t after = 0;
  std::string expected;
  for (;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return caf::unit;
    auto seq = static_cast<uint64_t>(stmt->integer(0));
    if (after == 0)
      state.head_hash = stmt->blob(3);
    if (seq < state.epoch.first)
      return caf::unit;
    if (after != 0 && (seq + 1 != after || stmt->blob(3) != expected))
      return ledger_damaged("commit " + std::to_string(after) + " does not follow from the record before it, "
                            + std::to_string(seq));
    auto expected_hash = commit_hash(hash, stmt->blob(2), seq, stmt->integer(1), stmt->blob(4));
    if (bytes_of(expected_hash) != stmt->blob(3))
      return ledger_damaged("the record of commit " + std::to_string(seq) + " does not match its hash");
    if (state.keys && seq > state.keys->pruned_seq)
      if (auto checked = check_keys(db, seq, stmt->blob(4)); !checked)
        return checked;
    after = seq;
    expected = stmt->blob(2);
    if (seq == state.epoch.first)
      return caf::unit;
  }
}

} // namespace

caf::expected<std::optional<key_time>> read_key_time(const connection& db) {
  auto content = read_meta(db, "key_clock");
  if (!content)
    return std::move(content.error());
  if (!*content)
    return std::optional<key_time>{};
  key_time time;
  std::istringstream in{**content};
  in >> time.begun_us >> time.last_undated_id >> time.seen_us >> time.since_boot_us >> time.pruned_seq;
  auto good = !in.fail() && is_plausible(time.begun_us) && is_plausible(time.seen_us) && time.last_undated_id >= 0;
  // The boot id may be empty.
  in >> time.boot;
  if (!good)
    return unreadable_meta("key_clock");
  return std::optional{std::move(time)};
}

caf::expected<void> check_keys(const connection& db, uint64_t seq, std::string_view requests) {
  auto decoded = decode_requests(requests);
  if (!decoded)
    return caf::unit;
  for (const auto& commit : *decoded) {
    if (commit.idempotency_key.empty() || commit.has_outcome)
      continue;
    auto stmt = prepared_statement::prepare(db, "SELECT 1 FROM _sluice_keys WHERE key = ?1");
    if (!stmt)
      return std::move(stmt.error());
    stmt->bind_text(1, commit.idempotency_key);
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return ledger_damaged("the idempotency keys of commit " + std::to_string(seq) + " are missing in _sluice_keys");
  }
  return caf::unit;
}

caf::expected<ledger_epoch> read_epoch(const connection& db) {
  auto content = read_meta(db, "epoch");
  if (!content)
    return std::move(content.error());
  ledger_epoch epoch;
  if (!*content)
    return epoch;
  std::istringstream in{**content};
  in >> epoch.number >> epoch.id >> epoch.first >> epoch.broken_before;
  if (in.fail() || epoch.first < 1 || epoch.first > static_cast<uint64_t>(last_plausible_number))
    return unreadable_meta("epoch");
  return epoch;
}

caf::expected<ledger_state> read_ledger_state(const connection& db) {
  ledger_state state;
  auto epoch = read_epoch(db);
  if (!epoch)
    return std::move(epoch.error());
  state.epoch = std::move(*epoch);
  auto keys = read_key_time(db);
  if (!keys)
    return std::move(keys.error());
  state.keys = std::move(*keys);
  auto boots = read_boots(db);
  if (!boots)
    return std::move(boots.error());
  state.boots = std::move(*boots);
  auto anchor = read_ledger_anchor(db);
  if (!anchor)
    return std::move(anchor.error());
  state.anchor = std::move(*anchor);
  auto format = read_number(db, "SELECT value FROM _sluice_meta WHERE name = 'format'");
  if (!format)
    return std::move(format.error());
  state.format = *format;
  if (auto read = read_ends(db, state); !read)
    return std::move(read.error());
  state.head_hash.assign(sizeof(digest), '\0');
  if (auto checked = check_recent(db, state); !checked)
    return std::move(checked.error());
  return state;
}

caf::expected<bool> is_break(const connection& db, uint64_t seq) {
  auto anchor = read_ledger_anchor(db);
  if (!anchor)
    return std::move(anchor.error());
  auto stmt = prepared_statement::prepare(
    db, "SELECT coalesce(p.commit_seq, ?2) <> c.commit_seq - 1 OR (length(c.prev_hash) > 0 AND "
        "coalesce(p.hash, ?3) <> c.prev_hash) FROM _sluice_commits c LEFT JOIN _sluice_commits p "
        "ON p.commit_seq = "
        "(SELECT max(commit_seq) FROM _sluice_commits WHERE commit_seq < c.commit_seq) WHERE c.commit_seq = ?1");
  if (!stmt)
    return std::move(stmt.error());
  auto before = *anchor ? (*anchor)->hash : std::string(sizeof(digest), '\0');
  stmt->bind(1, static_cast<int64_t>(seq));
  stmt->bind(2, *anchor ? (*anchor)->seq : int64_t{0});
  stmt->bind_blob(3, before);
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  return *row && stmt->integer(0) != 0;
}

caf::expected<void> write_epoch(const connection& db, const ledger_epoch& epoch) {
  return write_meta(db, "epoch",
                    std::to_string(epoch.number) + ' ' + epoch.id + ' ' + std::to_string(epoch.first) + ' '
                      + std::to_string(epoch.broken_before));
}

caf::expected<void> write_boots(const connection& db, const boot_ranges& boots) {
  return write_meta(db, "boots", boots.str());
}

caf::expected<void> write_format(const connection& db) {
  auto stmt = prepared_statement::prepare(db, "INSERT OR REPLACE INTO _sluice_meta(name, value) VALUES ('format', ?1)");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, ledger_format);
  return stmt->run();
}

caf::expected<void> write_key_time(const connection& db, const key_time& time) {
  return write_meta(db, "key_clock",
                    std::to_string(time.begun_us) + ' ' + std::to_string(time.last_undated_id) + ' '
                      + std::to_string(time.seen_us) + ' ' + std::to_string(time.since_boot_us) + ' '
                      + std::to_string(time.pruned_seq) + ' ' + time.boot);
}

std::string new_epoch_id(const clock& time, uint64_t first, std::string_view head_hash) {
  chain_hash hash;
  hash.add(static_cast<uint64_t>(wall_us(time)))
    .add(time.boot_id())
    .add(static_cast<uint64_t>(time.since_boot().count()));
  auto id = hash.add(first).add(head_hash).finish();
  return to_hex(bytes_of(id).substr(0, 8));
}

caf::expected<std::optional<std::string>> find_commit(const connection& db, uint64_t seq) {
  auto stmt = prepared_statement::prepare(db, "SELECT hash FROM _sluice_commits WHERE commit_seq = ?1");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, static_cast<int64_t>(seq));
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  return *row ? std::optional{std::string{stmt->blob(0)}} : std::nullopt;
}

std::optional<std::string> removed_hash(const std::optional<chain_anchor>& anchor, uint64_t seq,
                                        const std::string& known) {
  auto removed = anchor ? static_cast<uint64_t>(anchor->seq) : 0;
  if (seq == 0 || seq > removed)
    return std::nullopt;
  return seq == removed ? anchor->hash : known;
}

ledger_judgement judge_ledger(const ledger_epoch& epoch, uint64_t head_seq, const std::optional<std::string>& agreed,
                              const ledger_standing& known) {
  using fault = ledger_fault;
  if (!known.conflict.empty())
    return {fault::other, known.conflict};
  // An epoch that began after all issued numbers repeats no number.
  if (known.issued == 0 || epoch.first > known.issued)
    return {};
  if (known.agreed_seq >= epoch.first && known.agreed_seq <= head_seq && agreed != known.agreed_hash)
    return {fault::other, "commit " + std::to_string(known.agreed_seq)
                            + " in it is not the one that the audit knows: it is the ledger of another file"};
  if (head_seq == 0)
    return {fault::behind, "it has no commits, but commit " + std::to_string(known.issued)
                             + " has been acknowledged: the file was replaced, or the ledger in it emptied or dropped"};
  if (head_seq < known.issued)
    return {fault::behind, "it ends at commit " + std::to_string(head_seq) + ", but commit "
                             + std::to_string(known.issued)
                             + " has been acknowledged: the file is an older copy, or commit records were removed"};
  if (!known.epoch.empty() && known.epoch != epoch.id)
    return {fault::other, "its epoch is '" + epoch.id + "', and not '" + known.epoch + "', which the audit knows"};
  return {};
}

caf::expected<ledger_judgement> judge_ledger(const connection& db, const ledger_state& state,
                                             const ledger_standing& known) {
  auto agreed = find_commit(db, known.agreed_seq);
  if (!agreed)
    return std::move(agreed.error());
  if (!*agreed)
    *agreed = removed_hash(state.anchor, known.agreed_seq, known.agreed_hash);
  return judge_ledger(state.epoch, state.head_seq, *agreed, known);
}

} // namespace sluice::sqlite
