#include "tests/simulation/clients.hpp"

#include <algorithm>

// Losses of clients: their own end, their broker, and acknowledged commits.
namespace sluice::simulation {

std::vector<attempt*> clients::under_way() {
  std::vector<attempt*> open;
  for (auto& x : seen.writes)
    if (x.fate == fate::open && x.client < clients_.size())
      open.push_back(&x);
  for (auto& x : seen.reads)
    if (x.fate == fate::open && x.client < clients_.size())
      open.push_back(&x);
  return open;
}

bool clients::cancel_one() {
  auto open = under_way();
  if (open.empty())
    return false;
  auto& x = *open[luck_.pick(open.size())];
  x.is_cancelled = true;
  tell(x, "is cancelled");
  world_.cancel(x.request_id);
  return true;
}

bool clients::leave_one() {
  auto open = under_way();
  if (open.empty())
    return false;
  auto& x = *open[luck_.pick(open.size())];
  x.cancel.cancel();
  caf::anon_send_exit(x.messenger, caf::exit_reason::kill);
  x.fate = fate::unknown;
  x.ended = ++seen.event;
  --open_;
  --clients_[x.client].open;
  tell(x, "is given up: its client has gone");
  return true;
}

void clients::process_died(const std::vector<std::optional<uint64_t>>& newest) {
  ++life_;
  ++seen.event;
  for (auto& known : seen.databases)
    known.unnoticed = false;
  auto give_up = [&](auto& all) {
    for (auto& x : all)
      if (x.fate == fate::open) {
        check_wait(x);
        x.fate = fate::unknown;
        x.ended = seen.event;
      }
  };
  for (auto& x : seen.writes)
    if (x.fate == fate::open && x.what.key > 0 && x.what.retries > 0 && x.client < clients_.size()) {
      clients_[x.client].again.push_back(x.what);
      --clients_[x.client].again.back().retries;
    }
  give_up(seen.writes);
  give_up(seen.reads);
  give_up(seen.puts);
  give_up(seen.gets);
  give_up(seen.flushes);
  open_ = 0;
  for (auto& x : clients_)
    x.open = 0;
  seen.buffer_losses.push_back(seen.event);
  for (size_t db = 0; db < newest.size(); ++db)
    if (newest[db])
      forget_after(static_cast<uint32_t>(db), *newest[db]);
}

void clients::restored(uint32_t db, backup what) {
  auto& known = seen.databases[db];
  known.unnoticed = known.replaced = true;
  known.foreign = what.foreign;
  known.foreign_shown = std::min(known.foreign_shown, what.foreign);
  auto seq = what.seq;
  known.restores.push_back({++seen.event, std::move(what)});
  const auto& restore = known.restores.back();
  for (auto& x : seen.writes)
    if (x.what.db == db && x.fate == fate::done && !x.lost && restore.took(x)) {
      x.lost = true;
      x.taken = restore.event;
    }
  forget_after(db, seq);
}

// Commits that were acknowledged without an fsync, and have been lost.
void clients::forget_after(uint32_t db, uint64_t newest) {
  for (auto& x : seen.writes)
    if (x.what.db == db && x.fate == fate::done && x.result.commit_seq > newest)
      x.lost = true;
  // They may have seen what was never acknowledged, and is gone.
  for (auto& x : seen.reads)
    x.lost |= x.what.db == db;
  auto& known = seen.databases[db].acknowledged;
  known = std::min(known, newest);
  for (auto& x : clients_)
    x.known[db] = std::min(x.known[db], newest);
}

} // namespace sluice::simulation
