#include "actors/log/log.hpp"

#include <algorithm>
#include <utility>

namespace sluice {

struct log_state {
  log_state(log_actor::pointer me, log_dependencies dependencies) : self(me), parts(std::move(dependencies)) {}

  void flush();
  void drain();
  caf::expected<log_page> list(const log_query& query);
  void prune();
  void close();

  log_actor::pointer self;
  log_dependencies parts;
  // The file refused the last entries; until the next try the actor does not write to it.
  bool failing = false;
  clock::steady retry_at{};
  std::chrono::milliseconds pause{0};
  bool woken = false;
  bool pruning = false;
  static inline const char* name = "log";

private:
  bool write_batch();
  caf::expected<void> append(log_batch& batch);
  caf::expected<void> begin_anew(const caf::error& error);
  void failed(const caf::error& error);
  void wrote(uint64_t count);
  log_entry own_entry(log_level level, std::string message) const;
};

namespace {

using std::chrono::milliseconds;

// The maximum number of entries in one transaction.
constexpr size_t at_once = 1'000;
constexpr milliseconds first_pause{1'000};
constexpr milliseconds longest_retry_pause{30'000};
constexpr std::chrono::hours prune_every{1};

// Treats an exception of the store as a failure of the call.
template <class Work> auto guarded(Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& error) {
    return make_error(errc::internal, error.what());
  }
}

} // namespace

log_actor::behavior_type log(log_actor::stateful_pointer<hidden_state<log_state>> self,
                             std::shared_ptr<log_dependencies> parts) {
  self->state.create(self, std::move(*parts));
  return {
    [self](caf::flush_atom) { self->state->flush(); },
    [self](caf::tick_atom) { self->state->prune(); },
    [self](const log_query& query) -> caf::result<log_page> { return self->state->list(query); },
    [self](caf::close_atom) {
      self->state->close();
      return caf::ok_atom_v;
    },
  };
}

void log_state::flush() {
  // Wake-ups that were scheduled before this actor was known went to its predecessor.
  if (!std::exchange(woken, true))
    parts.queue->waker().forget();
  if (failing && parts.time->now() < retry_at)
    return;
  drain();
}

// Writes the entries that wait now; later ones wait for the next flush, so that busy threads do not keep this actor
// from other messages.
void log_state::drain() {
  auto more = true;
  for (auto batches = parts.queue->size() / at_once + 1; batches > 0 && more; --batches)
    more = write_batch();
  if (more)
    self->send(self, caf::flush_atom_v);
}

// Returns whether more entries may wait.
bool log_state::write_batch() {
  auto batch = parts.queue->take(at_once);
  auto count = batch.entries.size();
  if (count == 0 && batch.missing == 0)
    return false;
  auto done = guarded([&] { return append(batch); });
  if (done) {
    wrote(count);
    return count == at_once;
  }
  parts.queue->put_back(std::move(batch));
  failed(done.error());
  return false;
}

caf::expected<void> log_state::append(log_batch& batch) {
  auto& entries = batch.entries;
  if (batch.missing > 0)
    entries.insert(entries.begin(),
                   own_entry(log_level::warning, std::to_string(batch.missing)
                                                   + " log entries are missing here: there were too many to keep them "
                                                     "all, or the file could not be written"));
  auto done = guarded([&] { return parts.store->append(entries); });
  if (!done && code_of(done.error()) == errc::corrupt) {
    done = begin_anew(done.error());
    if (done)
      done = guarded([&] { return parts.store->append(entries); });
  }
  if (!done && batch.missing > 0)
    entries.erase(entries.begin());
  return done;
}

caf::expected<void> log_state::begin_anew(const caf::error& error) {
  auto kept = parts.move_damaged_file();
  if (!kept)
    return kept.error();
  parts.stats->log.change([](log_status& status) { ++status.files_set_aside; });
  auto text = "the log file could not be used (" + describe(error).message + "); it is kept as " + *kept;
  auto note = own_entry(log_level::error, text + ", and a new one was begun");
  auto begun = guarded([&] { return parts.store->append({&note, 1}); });
  parts.warn(begun ? note.message : text);
  return begun;
}

void log_state::failed(const caf::error& error) {
  auto text = describe(error).message;
  parts.stats->log.change([&](log_status& status) {
    status.failing = true;
    status.last_error = text;
  });
  pause = failing ? std::min(pause * 2, longest_retry_pause) : first_pause;
  if (!std::exchange(failing, true))
    parts.warn("the log file cannot be written: " + text);
  retry_at = parts.time->now() + pause;
  self->delayed_send(self, pause, caf::flush_atom_v);
}

void log_state::wrote(uint64_t count) {
  parts.queue->written(count);
  parts.stats->log.change([&](log_status& status) {
    status.written += count;
    status.failing = false;
  });
  failing = false;
  // The first entries of a broker start the removal of entries that a former broker left.
  if (!std::exchange(pruning, true))
    prune();
}

log_entry log_state::own_entry(log_level level, std::string message) const {
  log_entry entry;
  entry.ts_us = wall_us(*parts.time);
  entry.level = level;
  entry.source = "sluice";
  entry.message = std::move(message);
  return entry;
}

caf::expected<log_page> log_state::list(const log_query& query) {
  // If the flush fails, the entries that are in the file are listed all the same.
  flush();
  auto page = guarded([&] { return parts.store->list(query); });
  if (page || code_of(page.error()) != errc::corrupt || !guarded([&] { return begin_anew(page.error()); }))
    return page;
  return guarded([&] { return parts.store->list(query); });
}

void log_state::prune() {
  auto before = wall_us(*parts.time) - std::chrono::microseconds{parts.retention}.count();
  auto pruned = guarded([&] { return parts.store->prune(before); });
  if (pruned)
    parts.stats->log.change([&](log_status& status) { status.pruned += *pruned; });
  else if (code_of(pruned.error()) == errc::corrupt)
    static_cast<void>(guarded([&] { return begin_anew(pruned.error()); }));
  log_query any;
  any.limit = 1;
  auto left = guarded([&] { return parts.store->list(any); });
  // An empty log has no entries that could expire.
  pruning = !left || !left->entries.empty();
  if (pruning)
    self->delayed_send(self, prune_every, caf::tick_atom_v);
}

void log_state::close() {
  parts.queue->close();
  drain();
  parts.queue->abandon();
  parts.store.reset();
  self->quit();
}

} // namespace sluice
