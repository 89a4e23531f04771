#include "actors/shared/write_quota.hpp"

#include "messages/buffer.hpp"

#include <algorithm>

namespace sluice {

namespace {

using namespace std::chrono_literals;

// The entries of agents without queued requests are kept, because most agents return; they are removed only when there
// are many.
constexpr size_t max_idle_agents = 4'096;

// Deadlines that lie close together are handled in one call.
constexpr auto least_expiry_pause = 20ms;

// The extra time for the rows of the write-behind buffer when the broker ends.
constexpr auto flush_time = 3s;

// Requests that are interrupted at the end of the broker are answered after this time.
constexpr auto drain_grace = 1s;

} // namespace

write_quota::verdict write_quota::admit(write_request& request, clock::steady deadline) {
  auto bytes = footprint(request);
  auto sql = request.statements.empty() ? sql_text{} : request.statements.front().sql;
  auto made = std::make_shared<ticket>(ticket::description{request.agent, request.request_id, request.peer,
                                                           std::move(sql), bytes, request.received, deadline});
  std::lock_guard guard{mutex_};
  verdict result;
  result.refused = refuse(request, bytes);
  if (result.refused) {
    ++refused_;
    return result;
  }
  made->place_ = tickets_.size();
  count(*made);
  auto at = due(*made);
  tickets_.push_back(made);
  request.ticket = std::move(made);
  if (at < next_expiry_)
    result.expire_at = next_expiry_ = at;
  return result;
}

std::optional<failure> write_quota::refuse(const write_request& request, uint64_t bytes) {
  if (bytes > limits_.max_bytes / 4)
    return make_failure(errc::too_large, "the request has " + std::to_string(bytes) + " bytes; at most "
                                           + std::to_string(limits_.max_bytes / 4) + " may wait for one agent");
  if (agents_.size() > max_idle_agents)
    std::erase_if(agents_, [](const auto& entry) { return entry.second.requests == 0; });
  if (total_.requests + 1 > limits_.max_requests || total_.bytes + bytes > limits_.max_bytes)
    return overloaded("the write queue of this database is full");
  auto found = agents_.find(request.agent);
  auto used = found == agents_.end() ? usage{} : found->second;
  if (used.requests + 1 > std::max<uint64_t>(1, limits_.max_requests / 4) || used.bytes + bytes > limits_.max_bytes / 4)
    return overloaded("this agent's share of the write queue is full");
  return request.peer.pid == 0 ? std::nullopt : refuse_process(request, bytes);
}

// Prevents a process from filling the queue under several agent names.
std::optional<failure> write_quota::refuse_process(const write_request& request, uint64_t bytes) {
  auto found = processes_.find({request.peer.uid, request.peer.pid});
  if (found == processes_.end())
    return std::nullopt;
  const auto& process = found->second;
  if (process.used.requests + 1 > std::max<uint64_t>(1, limits_.max_requests / 2)
      || process.used.bytes + bytes > limits_.max_bytes / 2)
    return overloaded("this process's share of the write queue is full");
  if (process.agents.size() >= limits_.max_agents_per_process && !process.agents.contains(request.agent))
    return overloaded("this process has requests of " + std::to_string(process.agents.size())
                      + " agents in the write queue; it may not add another one");
  return std::nullopt;
}

void write_quota::count(const ticket& ticket) {
  auto add = [&](usage& to) {
    ++to.requests;
    to.bytes += ticket.info().bytes;
  };
  add(total_);
  add(agents_[ticket.info().agent]);
  if (ticket.info().peer.pid == 0)
    return;
  auto& process = processes_[{ticket.info().peer.uid, ticket.info().peer.pid}];
  add(process.used);
  ++process.agents[ticket.info().agent];
}

void write_quota::discount(const ticket& ticket) {
  auto take = [&](usage& from) {
    --from.requests;
    from.bytes -= ticket.info().bytes;
  };
  take(total_);
  take(agents_[ticket.info().agent]);
  if (ticket.info().peer.pid == 0)
    return;
  auto found = processes_.find({ticket.info().peer.uid, ticket.info().peer.pid});
  take(found->second.used);
  if (auto name = found->second.agents.find(ticket.info().agent); --name->second == 0)
    found->second.agents.erase(name);
  if (found->second.used.requests == 0)
    processes_.erase(found);
}

void write_quota::release(ticket& ticket) {
  std::lock_guard guard{mutex_};
  auto place = ticket.place_;
  if (place >= tickets_.size() || tickets_[place].get() != &ticket)
    return;
  discount(ticket);
  std::swap(tickets_[place], tickets_.back());
  tickets_[place]->place_ = place;
  tickets_.pop_back();
}

clock::steady write_quota::due(const ticket& ticket) const noexcept {
  // Rows of the write-behind buffer are written after the interrupted requests.
  auto end =
    ticket.info().agent == buffer_agent && drained_at_ != clock::steady::max() ? drained_at_ + flush_time : drained_at_;
  auto latest = std::min(ticket.info().deadline, end);
  return latest > clock::steady::max() - grace ? latest : latest + grace;
}

std::optional<clock::steady> write_quota::next_expiry() const {
  std::lock_guard guard{mutex_};
  return next_expiry_ == clock::steady::max() ? std::nullopt : std::optional{next_expiry_};
}

std::optional<clock::steady> write_quota::expire(clock::steady now) {
  std::vector<std::shared_ptr<ticket>> late;
  std::optional<clock::steady> next;
  auto drained = false;
  {
    std::lock_guard guard{mutex_};
    if (now < next_expiry_)
      return std::nullopt;
    drained = now >= drained_at_;
    auto earliest = clock::steady::max();
    for (const auto& ticket : tickets_)
      if (ticket->answered())
        continue;
      else if (due(*ticket) <= now)
        late.push_back(ticket);
      else
        earliest = std::min(earliest, due(*ticket));
    // Interrupted requests that do not answer are handled by a later call.
    if (!late.empty())
      earliest = std::min(earliest, now + (drained ? std::chrono::nanoseconds{drain_grace} : least_expiry_pause));
    next_expiry_ = earliest == clock::steady::max() ? earliest : std::max(earliest, now + least_expiry_pause);
    if (next_expiry_ != clock::steady::max())
      next = next_expiry_;
  }
  for (const auto& ticket : late) {
    if (drained && now < ticket->info().deadline && now < drained_at_ + drain_grace
        && ticket->interrupt(make_failure(errc::unavailable, "the broker is shutting down")))
      continue;
    ticket->give_up(drained && now < ticket->info().deadline
                      ? make_failure(errc::unavailable, "the broker is shutting down")
                      : make_failure(errc::deadline_exceeded, "the deadline passed before the request was done"));
  }
  return next;
}

bool write_quota::cancel(ticket& ticket) {
  auto error = make_failure(errc::cancelled, "the write was cancelled");
  // The request may begin between these calls.
  return ticket.interrupt(error) || ticket.give_up(error) || ticket.interrupt(error);
}

clock::steady write_quota::drain(clock::steady until) {
  std::lock_guard guard{mutex_};
  drained_at_ = std::min(drained_at_, until);
  return next_expiry_ = std::min(next_expiry_, drained_at_ + grace);
}

void write_quota::served(uint64_t count, std::chrono::nanoseconds elapsed) {
  if (count == 0)
    return;
  std::lock_guard guard{mutex_};
  auto latest = static_cast<double>(elapsed.count()) / static_cast<double>(count);
  ns_per_request_ = 0.8 * ns_per_request_ + 0.2 * latest;
}

write_quota::usage write_quota::queued() const {
  std::lock_guard guard{mutex_};
  return total_;
}

uint64_t write_quota::refused() const {
  std::lock_guard guard{mutex_};
  return refused_;
}

void write_quota::list_running(const std::string& db, clock::steady now, std::vector<running_request>& out) const {
  constexpr size_t max_sql = 1'000;
  for (const auto& ticket : tickets()) {
    if (ticket->answered())
      continue;
    auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(now - ticket->info().received);
    auto& running = out.emplace_back();
    running.db = db;
    running.operation = "write";
    running.request_id = ticket->info().request_id;
    running.agent = ticket->info().agent;
    running.peer = ticket->info().peer;
    running.sql = ticket->info().sql.str().substr(0, max_sql);
    running.is_running = ticket->running();
    running.since_ms = static_cast<uint64_t>(std::max<int64_t>(0, waited.count()));
  }
}

std::vector<std::shared_ptr<ticket>> write_quota::tickets() const {
  std::lock_guard guard{mutex_};
  return tickets_;
}

failure write_quota::overloaded(std::string message) const {
  // By then half of the queue should have been served.
  auto drain_ms = ns_per_request_ * static_cast<double>(total_.requests) / 2 / 1e6;
  return make_failure(errc::overloaded, std::move(message),
                      {.retry_after_ms = static_cast<uint32_t>(std::clamp(drain_ms, 10.0, 5'000.0))});
}

} // namespace sluice
