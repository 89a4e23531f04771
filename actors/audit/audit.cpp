#include "actors/audit/audit.hpp"

#include "actors/audit/refusal_merging.hpp"

#include <chrono>
#include <iterator>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace sluice {

struct audit_state {
  audit_state(audit_actor::pointer me, audit_dependencies dependencies);
  ~audit_state();

  void flush();
  void retry();
  /// Appends the records in the queue; keeps them for the next try if the file refuses them.
  caf::expected<void> write();
  caf::expected<attach_report> attach(const std::string& db);
  caf::expected<audit_page> list(const audit_query& query);
  caf::expected<audit_verdict> verify();
  caf::expected<uint64_t> agree(const std::string& db, uint64_t until);
  caf::expected<audit_pruned> prune(const audit_prune& request);
  void prune_if_due();
  void reread_changed();

  audit_actor::pointer self;
  audit_dependencies parts;
  std::unique_ptr<audit_store> store;
  std::vector<audit_record> pending;
  refusal_merging merging;
  // The commits that each ledger had and the audit lacked when the ledger was last read.
  std::set<std::tuple<std::string, uint64_t, std::string>> recovered;
  // Databases whose files have changed, so that the audit must read their ledgers again.
  std::set<std::string> changed;
  bool retry_is_scheduled = false;
  // When to check next whether old records must be removed.
  clock::steady prune_at{};
  // The file refused the last records.
  bool failing = false;
  // Counts the records that had to be dropped meanwhile; written as a record of its own.
  audit_record lost = [] {
    audit_record record;
    record.count = 0;
    return record;
  }();
  static inline const char* name = "audit";

private:
  void take_records();
  void add(audit_batch& batch);
  caf::expected<void> complete();
  void drop_recovered(audit_batch& batch);
  caf::expected<void> ensure_open();
  caf::expected<void> append();
  void drop_oldest();
  void note_lost(uint64_t count, int64_t until_us);
  void publish(const caf::expected<void>& outcome);
  void schedule_retry();
};

namespace {

constexpr std::chrono::milliseconds retry_after{1'000};
constexpr std::chrono::minutes between_prunings{1};

} // namespace

audit_actor::behavior_type audit(audit_actor::stateful_pointer<hidden_state<audit_state>> self,
                                 audit_dependencies parts) {
  self->state.create(self, std::move(parts));
  return {
    [self](attach_atom, const std::string& db) -> caf::result<attach_report> {
      auto report = self->state->attach(db);
      self->state->reread_changed();
      return report;
    },
    [self](agree_atom, const std::string& db, uint64_t until) -> caf::result<uint64_t> {
      return self->state->agree(db, until);
    },
    [self](const audit_query& query) -> caf::result<audit_page> { return self->state->list(query); },
    [self](verify_atom) -> caf::result<audit_verdict> { return self->state->verify(); },
    [self](const audit_prune& request) -> caf::result<audit_pruned> { return self->state->prune(request); },
    [self](caf::flush_atom) {
      self->state->flush();
      self->state->prune_if_due();
    },
    [self](retry_atom) { self->state->retry(); },
    [self](caf::close_atom) -> caf::result<caf::ok_atom> {
      auto written = self->state->write();
      self->state->store.reset();
      self->quit();
      if (!written)
        return written.error();
      return caf::ok_atom_v;
    },
  };
}

audit_state::audit_state(audit_actor::pointer me, audit_dependencies dependencies)
  : self(me), parts(std::move(dependencies)) {
  // A wake-up that was scheduled before went to a predecessor, whose records may still be in the queue.
  parts.actors->audit_records().waker().forget();
  if (parts.actors->audit_records().size() > 0)
    self->send(self, caf::flush_atom_v);
}

audit_state::~audit_state() {
  // Writes the records that a failing actor has taken; those in the queue are for its successor.
  try {
    if (!pending.empty())
      static_cast<void>(append());
  } catch (...) {
    // This very exception may have ended the actor; a destructor must not throw it.
  }
}

void audit_state::flush() {
  take_records();
  // After the file has refused records, only the retry writes to it.
  if (!failing)
    static_cast<void>(write());
  reread_changed();
}

void audit_state::retry() {
  retry_is_scheduled = false;
  static_cast<void>(write());
}

void audit_state::take_records() {
  auto taken = parts.actors->audit_records().take();
  if (taken.dropped > 0)
    note_lost(taken.dropped, taken.dropped_until_us);
  for (auto& batch : taken.batches)
    add(batch);
  if (pending.size() > audit_queue::max_records)
    drop_oldest();
  parts.stats->audit.change([this](audit_status& x) { x.pending = pending.size(); });
}

void audit_state::add(audit_batch& batch) {
  drop_recovered(batch);
  for (const auto& record : batch.records)
    // If a ledger was read while its log or file was missing, the result may be incomplete.
    if (record.type == request_type::file_event)
      changed.insert(record.db);
  if (batch.may_be_merged)
    for (auto& record : batch.records)
      merging.add(std::move(record), pending);
  else if (pending.empty())
    pending = std::move(batch.records);
  else
    std::move(batch.records.begin(), batch.records.end(), std::back_inserter(pending));
}

// A writer may have committed before its ledger was read, and its records may come after the request to read it.
void audit_state::drop_recovered(audit_batch& batch) {
  if (recovered.empty())
    return;
  std::erase_if(batch.records, [this](const audit_record& record) {
    return is_in_ledger(record.type) && record.status == "committed"
           && recovered.erase({record.db, record.commit_seq, record.request_id}) > 0;
  });
}

caf::expected<void> audit_state::write() {
  take_records();
  auto outcome = append();
  publish(outcome);
  if (!outcome)
    schedule_retry();
  return outcome;
}

void audit_state::publish(const caf::expected<void>& outcome) {
  parts.stats->audit.change([&](audit_status& status) {
    status.pending = pending.size();
    status.failing = !outcome;
    if (!outcome)
      status.last_error = describe(outcome.error()).message;
  });
}

caf::expected<void> audit_state::append() {
  if (auto opened = ensure_open(); !opened)
    return opened;
  if (pending.empty())
    return caf::unit;
  if (lost.count > 0)
    pending.push_back(lost);
  auto written = store->append(pending);
  failing = !written;
  if (failing) {
    if (lost.count > 0)
      pending.pop_back();
    store.reset();
    return written;
  }
  parts.stats->audit.change([this](audit_status& status) { status.written += pending.size(); });
  pending.clear();
  merging.forget();
  lost.count = 0;
  return caf::unit;
}

void audit_state::drop_oldest() {
  auto count = pending.size() / 2;
  note_lost(count, pending[count - 1].ts_us);
  pending.erase(pending.begin(), pending.begin() + static_cast<ptrdiff_t>(count));
  merging.forget();
}

void audit_state::note_lost(uint64_t count, int64_t until_us) {
  lost.ts_us = until_us;
  lost.type = request_type::audit_gap;
  lost.status = to_string(errc::unavailable);
  lost.count += static_cast<uint32_t>(count);
  parts.stats->audit.change([count](audit_status& status) { status.lost += count; });
}

caf::expected<attach_report> audit_state::attach(const std::string& db) {
  if (auto written = write(); !written)
    return written.error();
  auto found = store->compare(db);
  if (!found)
    return found.error();
  auto& missing = found->missing;
  auto count = static_cast<uint64_t>(missing.size());
  // Records of an earlier comparison stay: their originals may still be in the queue.
  for (const auto& record : missing)
    recovered.insert({record.db, record.commit_seq, record.request_id});
  std::move(missing.begin(), missing.end(), std::back_inserter(pending));
  parts.stats->audit.change([count](audit_status& status) { status.recovered += count; });
  if (auto written = write(); !written)
    return written.error();
  return attach_report{count, std::move(found->standing)};
}

// Reading a ledger may detect another event, and so mark further databases.
void audit_state::reread_changed() {
  while (!changed.empty())
    static_cast<void>(attach(changed.extract(changed.begin()).value()));
}

caf::expected<void> audit_state::complete() {
  if (auto written = write(); !written)
    return written;
  reread_changed();
  return ensure_open();
}

caf::expected<audit_page> audit_state::list(const audit_query& query) {
  if (auto whole = complete(); !whole)
    return whole.error();
  return store->list(query);
}

caf::expected<audit_verdict> audit_state::verify() {
  if (auto whole = complete(); !whole)
    return whole.error();
  return store->verify();
}

caf::expected<uint64_t> audit_state::agree(const std::string& db, uint64_t until) {
  if (auto written = write(); !written)
    return written.error();
  return store->agree(db, until);
}

caf::expected<audit_pruned> audit_state::prune(const audit_prune& request) {
  if (auto whole = complete(); !whole)
    return whole.error();
  return store->prune({request.before_us, 0}, wall_us(*parts.time));
}

// Removes a bounded number at once, and the rest with the next records: faster than new records come.
void audit_state::prune_if_due() {
  if (!store || failing || (parts.retention.count() == 0 && parts.max_bytes == 0) || parts.time->now() < prune_at)
    return;
  auto now_us = wall_us(*parts.time);
  auto kept_us = std::chrono::duration_cast<std::chrono::microseconds>(parts.retention).count();
  auto before_us = kept_us > 0 ? now_us - kept_us : 0;
  auto pruned = store->prune({before_us, parts.max_bytes}, now_us);
  if (!pruned)
    parts.stats->audit.change([&](audit_status& status) {
      status.last_error = "old records cannot be removed: " + describe(pruned.error()).message;
    });
  auto has_more = pruned && pruned->has_more;
  prune_at = parts.time->now() + (has_more ? std::chrono::minutes{0} : between_prunings);
}

caf::expected<void> audit_state::ensure_open() {
  if (store)
    return caf::unit;
  auto opened = parts.open();
  failing = !opened;
  if (!opened)
    return opened.error();
  store = std::move(*opened);
  return caf::unit;
}

void audit_state::schedule_retry() {
  if (!std::exchange(retry_is_scheduled, true))
    self->delayed_send(self, retry_after, retry_atom{});
}

} // namespace sluice
