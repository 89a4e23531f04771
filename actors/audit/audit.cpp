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
  audit_state(audit_actor::pointer me, audit_store_opener opener, std::shared_ptr<actor_stats> shared_stats)
    : self(me), open(std::move(opener)), stats(std::move(shared_stats)) {}
  ~audit_state();

  void take(audit_batch& batch);
  /// Appends what has been taken; keeps it for another time if the file refuses it.
  caf::expected<void> write();
  caf::expected<attach_report> attach(const std::string& db);
  caf::expected<audit_page> list(const audit_query& query);
  caf::expected<audit_verdict> verify();
  void schedule(std::chrono::milliseconds delay);

  audit_actor::pointer self;
  audit_store_opener open;
  std::shared_ptr<actor_stats> stats;
  std::unique_ptr<audit_store> store;
  std::vector<audit_record> pending;
  refusal_merging merging;
  // What each ledger had and the audit had not when it was last read.
  std::set<std::tuple<std::string, uint64_t, std::string>> recovered;
  bool scheduled = false;
  // The file refused the last records.
  bool failing = false;
  // Stands for records that had to be dropped meanwhile; written as a record of its own.
  audit_record lost = [] {
    audit_record record;
    record.count = 0;
    return record;
  }();
  static inline const char* name = "audit";

private:
  void drop_recovered(audit_batch& batch);
  caf::expected<void> ensure_open();
  caf::expected<void> append();
  void drop_oldest();
  void publish(const caf::expected<void>& outcome);
};

namespace {

constexpr size_t write_at = 1'024;
// While the file refuses records, this many are kept in memory.
constexpr size_t keep_at_most = 200'000;
constexpr std::chrono::milliseconds write_after{20};
constexpr std::chrono::milliseconds retry_after{1'000};

std::set<std::string> databases_with_events(const std::vector<audit_record>& records) {
  std::set<std::string> result;
  for (const auto& record : records)
    if (record.type == request_type::file_event)
      result.insert(record.db);
  return result;
}

} // namespace

audit_actor::behavior_type audit(audit_actor::stateful_pointer<hidden_state<audit_state>> self, audit_store_opener open,
                                 std::shared_ptr<actor_stats> stats) {
  self->state.create(self, std::move(open), std::move(stats));
  return {
    [self](audit_batch& batch) { self->state->take(batch); },
    [self](attach_atom, const std::string& db) -> caf::result<attach_report> { return self->state->attach(db); },
    [self](const audit_query& query) -> caf::result<audit_page> { return self->state->list(query); },
    [self](verify_atom) -> caf::result<audit_verdict> { return self->state->verify(); },
    [self](caf::flush_atom) {
      self->state->scheduled = false;
      if (!self->state->write())
        self->state->schedule(retry_after);
    },
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

audit_state::~audit_state() {
  // Records that a failing actor has received are written all the same; those in its mailbox are completed from the
  // ledgers.
  try {
    if (!pending.empty())
      static_cast<void>(write());
  } catch (...) {
    // It may be this very exception that ended the actor; a destructor must not let it out.
  }
}

void audit_state::take(audit_batch& batch) {
  drop_recovered(batch);
  auto changed = databases_with_events(batch.records);
  if (batch.may_be_merged)
    for (auto& record : batch.records)
      merging.add(std::move(record), pending);
  else if (pending.empty())
    pending = std::move(batch.records);
  else
    std::move(batch.records.begin(), batch.records.end(), std::back_inserter(pending));
  if (pending.size() >= write_at && !failing)
    static_cast<void>(write());
  if (pending.size() > keep_at_most)
    drop_oldest();
  stats->audit.change([this](audit_status& status) { status.pending = pending.size(); });
  if (!pending.empty())
    schedule(failing ? retry_after : write_after);
  // A ledger that was read while its log or file was away was not read whole.
  for (const auto& db : changed)
    static_cast<void>(attach(db));
}

// A writer may have committed before its ledger was read, and send its records behind the request to read it.
void audit_state::drop_recovered(audit_batch& batch) {
  if (recovered.empty())
    return;
  std::erase_if(batch.records, [this](const audit_record& record) {
    return record.type == request_type::write && record.status == "committed"
           && recovered.erase({record.db, record.commit_seq, record.request_id}) > 0;
  });
}

caf::expected<void> audit_state::write() {
  auto outcome = append();
  publish(outcome);
  return outcome;
}

void audit_state::publish(const caf::expected<void>& outcome) {
  stats->audit.change([&](audit_status& status) {
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
  stats->audit.change([this](audit_status& status) { status.written += pending.size(); });
  pending.clear();
  merging.forget();
  lost.count = 0;
  return caf::unit;
}

void audit_state::drop_oldest() {
  auto count = pending.size() / 2;
  lost.ts_us = pending[count - 1].ts_us;
  lost.type = request_type::audit_gap;
  lost.status = to_string(errc::unavailable);
  lost.count += static_cast<uint32_t>(count);
  pending.erase(pending.begin(), pending.begin() + static_cast<ptrdiff_t>(count));
  merging.forget();
  stats->audit.change([count](audit_status& status) { status.lost += count; });
}

caf::expected<attach_report> audit_state::attach(const std::string& db) {
  if (auto written = write(); !written)
    return written.error();
  auto found = store->compare(db);
  if (!found)
    return found.error();
  auto& missing = found->missing;
  auto count = static_cast<uint64_t>(missing.size());
  // Those of an earlier look stay: their records may still be on the way.
  for (const auto& record : missing)
    recovered.insert({record.db, record.commit_seq, record.request_id});
  pending = std::move(missing);
  stats->audit.change([count](audit_status& status) { status.recovered += count; });
  if (auto written = write(); !written) {
    schedule(retry_after);
    return written.error();
  }
  return attach_report{count, std::move(found->standing)};
}

caf::expected<audit_page> audit_state::list(const audit_query& query) {
  if (auto written = write(); !written)
    return written.error();
  return store->list(query);
}

caf::expected<audit_verdict> audit_state::verify() {
  if (auto written = write(); !written)
    return written.error();
  return store->verify();
}

caf::expected<void> audit_state::ensure_open() {
  if (store)
    return caf::unit;
  auto opened = open();
  failing = !opened;
  if (!opened)
    return opened.error();
  store = std::move(*opened);
  return caf::unit;
}

void audit_state::schedule(std::chrono::milliseconds delay) {
  if (!std::exchange(scheduled, true))
    self->delayed_send(self, delay, caf::flush_atom_v);
}

} // namespace sluice
