#include "runtime/sqlite/ledger/ledger.hpp"

#include <algorithm>
#include <utility>

namespace sluice::sqlite {

namespace {

// Each commit removes this many old keys, and twice as many as it adds.
constexpr uint64_t spare_keys = 64;

// The wait for a lock when the ledger is opened. Short, because requests wait meanwhile whose deadlines are not known
// here.
constexpr std::chrono::milliseconds opening_wait{50};

} // namespace

caf::expected<uint64_t> last_commit_seq(const std::filesystem::path& path) {
  connection_options options;
  options.busy_timeout = opening_wait;
  auto db = connection::open(path, options);
  if (!db)
    return std::move(db.error());
  auto present = has_ledger(*db);
  if (!present)
    return std::move(present.error());
  if (!*present)
    return uint64_t{0};
  auto stmt = prepared_statement::prepare(*db, "SELECT coalesce(max(commit_seq), 0) FROM _sluice_commits");
  if (!stmt)
    return std::move(stmt.error());
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  auto seq = stmt->integer(0);
  if (seq < 0 || seq > last_plausible_number)
    return ledger_damaged("_sluice_commits has a row numbered " + std::to_string(seq)
                          + ", which the broker did not write");
  return static_cast<uint64_t>(seq);
}

caf::expected<void> ledger::enter(bool reread) {
  remembered_ = 0;
  if (reread) {
    lost();
    ready_ = false;
  }
  if (!ready_) {
    auto present = has_ledger(db_);
    if (!present)
      return std::move(present.error());
    if (auto done = *present ? accept() : create(); !done)
      return done;
    if (auto prepared = prepare(); !prepared)
      return prepared;
    oldest_key_us_.reset();
    ready_ = true;
  }
  return head_known_ ? caf::expected<void>{caf::unit} : read_head();
}

caf::expected<void> ledger::create() {
  auto run = [&](std::string_view sql) -> caf::expected<void> {
    auto stmt = prepared_statement::prepare(db_, sql);
    return stmt ? stmt->run() : caf::expected<void>{std::move(stmt.error())};
  };
  created_ = true;
  ready_is_uncommitted_ = true;
  for (const auto& table : ledger_tables)
    if (auto done = run(table.sql); !done)
      return done;
  if (auto done = write_format(db_); !done)
    return done;
  head_seq_ = 0;
  head_hash_.assign(sizeof(digest), '\0');
  epoch_ = {};
  boots_ = {};
  clock_.begin(0, 0);
  if (auto done = write_key_time(db_, clock_.kept()); !done)
    return done;
  // Another file may have had this name, and its commits may have been published.
  return begin_epoch(known_.issued + 1);
}

// Checks whether the ledger in the file is the known one.
caf::expected<void> ledger::accept() {
  auto state = read_ledger_state(db_);
  if (!state)
    return std::move(state.error());
  auto verdict = judge_ledger(db_, *state, known_);
  if (!verdict)
    return std::move(verdict.error());
  auto lost_end = verdict->fault == ledger_fault::behind && settings_.may_lose_end;
  if (verdict->fault != ledger_fault::none && !lost_end)
    return ledger_damaged(verdict->reason);
  epoch_ = state->epoch;
  boots_ = state->boots;
  head_hash_ = state->head_hash;
  if (state->format != ledger_format) {
    // Its rows stay unchanged; only new ones have the new format.
    ready_is_uncommitted_ = true;
    if (auto done = write_format(db_); !done)
      return done;
  }
  if (state->keys) {
    clock_.go_on(*state->keys, state->newest_key_id, state->newest_key_us);
  } else {
    ready_is_uncommitted_ = true;
    clock_.begin(state->newest_key_id, state->head_seq);
    if (auto done = write_key_time(db_, clock_.kept()); !done)
      return done;
  }
  if (lost_end)
    return begin_epoch(known_.issued + 1);
  // A ledger of an earlier version is given its id, and nothing else changes.
  return epoch_.id.empty() ? begin_epoch(epoch_.first) : caf::expected<void>{caf::unit};
}

caf::expected<void> ledger::begin_epoch(uint64_t first) {
  ready_is_uncommitted_ = true;
  // The epoch that ends may itself have begun at a gap.
  if (first > epoch_.first) {
    auto broken = is_break(db_, epoch_.first);
    if (!broken)
      return std::move(broken.error());
    epoch_.broken_before += *broken ? 1 : 0;
  }
  ++epoch_.number;
  epoch_.first = first;
  epoch_.id = new_epoch_id(time_, first, head_hash_);
  if (known_.issued > 0 && first > known_.issued)
    begun_epoch_ = epoch_.id;
  return write_epoch(db_, epoch_);
}

caf::expected<void> ledger::prepare() {
  if (auto prepared = keys_.prepare(boots_); !prepared)
    return prepared;
  return prepare_all(
    db_, {{&last_commit_, "SELECT commit_seq, hash FROM _sluice_commits ORDER BY commit_seq DESC LIMIT 1"},
          {&insert_commit_, "INSERT INTO _sluice_commits(commit_seq, ts_us, prev_hash, hash, requests) "
                            "VALUES (?1, ?2, ?3, ?4, ?5)"},
          {&oldest_key_, "SELECT id, created_us FROM _sluice_keys ORDER BY id LIMIT 1"},
          {&forget_keys_, "DELETE FROM _sluice_keys WHERE id IN (SELECT id FROM _sluice_keys ORDER BY id LIMIT ?1) "
                          "AND iif(id <= ?2, ?3, created_us) < ?4 RETURNING commit_seq"}});
}

caf::expected<void> ledger::read_head() {
  auto row = last_commit_.step();
  auto seq = row && *row ? last_commit_.integer(0) : 0;
  auto plausible = seq >= 0 && seq <= last_plausible_number;
  if (row && plausible) {
    head_seq_ = static_cast<uint64_t>(seq);
    head_hash_ = *row ? std::string{last_commit_.blob(1)} : std::string(sizeof(digest), '\0');
    head_known_ = true;
  }
  last_commit_.reset();
  if (!row)
    return std::move(row.error());
  if (!plausible)
    return ledger_damaged("_sluice_commits has a row numbered " + std::to_string(seq)
                          + ", which the broker did not write");
  return caf::unit;
}

caf::expected<void> ledger::remember(const write_request& request, const write_result& result) {
  if (std::exchange(remembered_, remembered_ + 1) == 0)
    now_us_ = clock_.now_us();
  return keys_.remember(request, result, next_seq(), now_us_);
}

// Records that the commit `seq` is made in this boot of the machine.
caf::expected<void> ledger::note_boot(uint64_t seq) {
  if (!keys_.note_boot(seq))
    return caf::unit;
  ready_is_uncommitted_ = true;
  return write_boots(db_, keys_.boots());
}

caf::expected<digest> ledger::append(uint64_t seq, int64_t ts_us, std::span<const ledger_entry> entries) {
  if (seq != next_seq())
    return make_error(errc::internal, "a commit record out of order");
  // An error in removing old keys does not justify refusing the commit.
  if (has_old_keys())
    static_cast<void>(forget_old_keys(2 * remembered_ + spare_keys));
  if (auto noted = note_boot(seq); !noted)
    return std::move(noted.error());
  keys_.encode(entries, requests_);
  appended_seq_ = seq;
  appended_hash_ = commit_hash(hash_, head_hash_, seq, ts_us, requests_);
  insert_commit_.bind(1, static_cast<int64_t>(seq));
  insert_commit_.bind(2, ts_us);
  // The hash of the record before it, stored only if there may be a gap between them.
  insert_commit_.bind_blob(3, seq == epoch_.first ? std::string_view{head_hash_} : std::string_view{});
  insert_commit_.bind_blob(4, bytes_of(appended_hash_));
  insert_commit_.bind_blob(5, requests_);
  if (auto done = insert_commit_.run(); !done)
    return std::move(done.error());
  return appended_hash_;
}

void ledger::committed() {
  keys_.committed(appended_seq_);
  head_seq_ = appended_seq_;
  head_hash_ = bytes_of(appended_hash_);
  created_ = false;
  ready_is_uncommitted_ = false;
  begun_epoch_.clear();
  known_.issued = appended_seq_;
  known_.agreed_seq = appended_seq_;
  known_.agreed_hash = head_hash_;
  if (known_.epoch != epoch_.id)
    known_.epoch = epoch_.id;
}

void ledger::lost() noexcept {
  keys_.lost();
  pruning_.lost();
  ready_ = ready_ && !ready_is_uncommitted_;
  created_ = false;
  ready_is_uncommitted_ = false;
  begun_epoch_.clear();
  head_known_ = false;
  oldest_key_us_.reset();
}

caf::expected<void> ledger::read_oldest_key() {
  auto row = oldest_key_.step();
  if (row) {
    auto dated = *row && oldest_key_.integer(0) > clock_.base().last_undated_id;
    // Without a key, no key will be older than now.
    oldest_key_us_ = !*row ? clock_.now_us() : dated ? oldest_key_.integer(1) : clock_.base().begun_us;
  }
  oldest_key_.reset();
  if (!row)
    return std::move(row.error());
  return caf::unit;
}

bool ledger::has_old_keys() {
  if (!ready_ || (!oldest_key_us_ && !read_oldest_key()))
    return false;
  return *oldest_key_us_ < clock_.now_us() - settings_.key_retention.count();
}

caf::expected<uint64_t> ledger::forget_old_keys(uint64_t limit) {
  uint64_t count = 0;
  forget_keys_.bind(1, static_cast<int64_t>(limit));
  forget_keys_.bind(2, clock_.base().last_undated_id);
  forget_keys_.bind(3, clock_.base().begun_us);
  forget_keys_.bind(4, clock_.now_us() - settings_.key_retention.count());
  auto row = forget_keys_.step();
  for (; row && *row; row = forget_keys_.step(), ++count)
    clock_.pruned(static_cast<uint64_t>(std::max<int64_t>(forget_keys_.integer(0), 0)));
  forget_keys_.reset();
  if (!row)
    return std::move(row.error());
  if (count > 0)
    if (auto kept = write_key_time(db_, clock_.kept()); !kept)
      return std::move(kept.error());
  if (auto read = read_oldest_key(); !read)
    return std::move(read.error());
  return count;
}

caf::expected<pruned_records> ledger::prune(uint64_t first_kept) {
  using std::chrono::microseconds;
  auto commits = keys_.commits_of_this_boot(next_seq());
  auto since_boot_us = time_.since_boot().count();
  auto now_us = wall_us(time_);
  // The wall clock may jump, so it is used only for earlier boots of the machine.
  auto age_of = [&](uint64_t seq, int64_t ts_us, std::string_view requests) {
    auto is_of_boot = std::any_of(commits.begin(), commits.end(),
                                  [seq](const auto& range) { return range.first <= seq && seq <= range.last; });
    auto time_ms = is_of_boot ? read_record_time(requests) : std::nullopt;
    return microseconds{time_ms ? since_boot_us - static_cast<int64_t>(*time_ms) * 1'000 : now_us - ts_us};
  };
  auto may_be_repeated = [&](uint64_t seq, int64_t ts_us, std::string_view requests) {
    if (age_of(seq, ts_us, requests) >= settings_.key_retention)
      return false;
    auto decoded = decode_requests(requests);
    return decoded && std::any_of(decoded->begin(), decoded->end(), [](const auto& each) { return each.has_outcome; });
  };
  return pruning_.remove(epoch_, {std::min(first_kept, head_seq_), may_be_repeated});
}

} // namespace sluice::sqlite
