#include "tests/simulation/clients.hpp"

#include <algorithm>

// Losses of clients: their own end, their broker, and acknowledged commits.
namespace sluice::simulation {

std::vector<attempt*> clients::under_way() {
  std::vector<attempt*> open;
  for (auto& write : seen.writes)
    if (write.fate == fate::open && write.client < clients_.size())
      open.push_back(&write);
  for (auto& read : seen.reads)
    if (read.fate == fate::open && read.client < clients_.size())
      open.push_back(&read);
  return open;
}

bool clients::cancel_one() {
  auto open = under_way();
  if (open.empty())
    return false;
  auto& result = *open[luck_.pick(open.size())];
  result.is_cancelled = true;
  tell(result, "is cancelled");
  world_.cancel(result.request_id);
  return true;
}

bool clients::leave_one() {
  auto open = under_way();
  if (open.empty())
    return false;
  auto& result = *open[luck_.pick(open.size())];
  result.cancel.cancel();
  caf::anon_send_exit(result.messenger, caf::exit_reason::kill);
  result.fate = fate::unknown;
  result.ended = ++seen.event;
  --open_;
  --clients_[result.client].open;
  tell(result, "is given up: its client has gone");
  return true;
}

void clients::process_died(const std::vector<std::optional<uint64_t>>& newest) {
  ++life_;
  ++seen.event;
  for (auto& known : seen.databases)
    known.unnoticed = false;
  auto give_up = [&](auto& all) {
    for (auto& each : all)
      if (each.fate == fate::open) {
        check_wait(each);
        each.fate = fate::unknown;
        each.ended = seen.event;
      }
  };
  for (auto& write : seen.writes)
    if (write.fate == fate::open && write.planned.key > 0 && write.planned.retries > 0
        && write.client < clients_.size()) {
      clients_[write.client].again.push_back(write.planned);
      --clients_[write.client].again.back().retries;
    }
  give_up(seen.writes);
  give_up(seen.reads);
  give_up(seen.puts);
  give_up(seen.gets);
  give_up(seen.flushes);
  open_ = 0;
  for (auto& client : clients_)
    client.open = 0;
  seen.buffer_losses.push_back(seen.event);
  for (size_t db = 0; db < newest.size(); ++db)
    if (newest[db])
      forget_after(static_cast<uint32_t>(db), *newest[db]);
}

void clients::restored(uint32_t db, backup source) {
  auto& known = seen.databases[db];
  known.unnoticed = known.replaced = true;
  known.foreign = source.foreign;
  known.foreign_shown = std::min(known.foreign_shown, source.foreign);
  auto seq = source.seq;
  known.restores.push_back({++seen.event, std::move(source)});
  const auto& restore = known.restores.back();
  for (auto& write : seen.writes)
    if (write.planned.db == db && write.fate == fate::done && !write.lost && restore.took(write)) {
      write.lost = true;
      write.taken = restore.event;
    }
  forget_after(db, seq);
}

// Notes the loss of commits that were acknowledged without an fsync.
void clients::forget_after(uint32_t db, uint64_t newest) {
  for (auto& write : seen.writes)
    if (write.planned.db == db && write.fate == fate::done && write.result.commit_seq > newest)
      write.lost = true;
  // Clients may have read commits that were never acknowledged and are lost now.
  for (auto& read : seen.reads)
    read.lost |= read.planned.db == db;
  auto& known = seen.databases[db].acknowledged;
  known = std::min(known, newest);
  for (auto& client : clients_)
    client.known[db] = std::min(client.known[db], newest);
}

} // namespace sluice::simulation
