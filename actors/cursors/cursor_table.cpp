#include "actors/cursors/cursor_table.hpp"

#include "actors/shared/slow_requests.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace sluice {

namespace {

using std::chrono::milliseconds;

constexpr size_t max_remembered = 1'000;
constexpr milliseconds pause_for_lock{50};
constexpr failure_details retry_later{.retry_after_ms = 1'000};

} // namespace

std::optional<failure> cursor_table::capacity_error(const std::string& agent, size_t connections) const {
  auto open_of_agent = std::count_if(cursors_.begin(), cursors_.end(),
                                     [&](const auto& entry) { return entry.second.opening.request.agent == agent; });
  if (std::cmp_greater_equal(open_of_agent, limits_.max_per_agent))
    return make_failure(errc::overloaded,
                        "this agent has " + std::to_string(open_of_agent)
                          + " open cursors, the limit of max_agent_cursors; read them to the end or close them",
                        retry_later);
  if (std::max(cursors_.size(), connections) >= limits_.max_open)
    return make_failure(errc::overloaded,
                        "this broker has " + std::to_string(limits_.max_open)
                          + " open cursors, the limit of max_cursors; try again later",
                        retry_later);
  return std::nullopt;
}

uint64_t cursor_table::open(open_cursor message, clock::steady now) {
  auto id = next_id_++;
  auto& added = cursors_[id];
  added.opened = added.since = now;
  added.expires_at = now + limits_.lifetime;
  added.idle = message.request.limits.idle.count() > 0 ? message.request.limits.idle : limits_.idle;
  added.page_end = std::min(now + message.request.limits.timeout, added.expires_at);
  added.opening = std::move(message);
  return id;
}

std::optional<failure> cursor_table::ask(uint64_t id, clock::steady now) {
  if (auto gone = ended_.find(id); gone != ended_.end()) {
    auto error = std::move(gone->second);
    ended_.erase(gone);
    return error;
  }
  auto* cursor = find(id);
  if (!cursor)
    return make_failure(errc::invalid_request,
                        "there is no cursor " + std::to_string(id)
                          + ": it was read to its end, was closed, or belongs to another broker");
  if (cursor->state != state::idle)
    return make_failure(errc::invalid_request, "the last page of cursor " + std::to_string(id)
                                                 + " is not answered yet; ask for one page at a time");
  cursor->state = state::waiting;
  cursor->since = now;
  cursor->page_end = std::min(now + cursor->opening.request.limits.timeout, cursor->expires_at);
  return std::nullopt;
}

cursor_table::share cursor_table::running_for(const read_request& request) const {
  share result;
  for (auto id : running_) {
    auto found = cursors_.find(id);
    if (found == cursors_.end())
      continue;
    const auto& other = found->second.opening.request;
    result.of_agent += other.agent == request.agent ? 1 : 0;
    result.of_process +=
      request.peer.pid != 0 && other.peer.pid == request.peer.pid && other.peer.uid == request.peer.uid ? 1 : 0;
  }
  return result;
}

// A page may take as long as its cursor lives. An agent that had all threads would block the others for that time.
bool cursor_table::may_start(const share& share) const {
  auto most = static_cast<int64_t>(std::max<size_t>(2, limits_.max_pages_at_once)) - 1;
  return std::max(share.of_agent, share.of_process) < most;
}

std::vector<cursor_table::start> cursor_table::take_starts(clock::steady now) {
  std::vector<start> result;
  while (running_.size() < limits_.max_pages_at_once) {
    std::pair<const uint64_t, cursor>* best = nullptr;
    std::pair<int64_t, clock::steady> rank;
    for (auto& entry : cursors_) {
      if (entry.second.state != state::waiting || entry.second.not_before > now)
        continue;
      auto running = running_for(entry.second.opening.request);
      std::pair candidate{running.of_agent, entry.second.since};
      if (!may_start(running) || (best && rank <= candidate))
        continue;
      best = &entry;
      rank = candidate;
    }
    if (!best)
      break;
    best->second.state = state::running;
    running_.insert(best->first);
    auto left = std::chrono::ceil<milliseconds>(best->second.page_end - now);
    result.push_back({best->first, std::max(left, milliseconds{1})});
  }
  return result;
}

void cursor_table::answered(uint64_t id, uint64_t rows, clock::steady now) {
  assert(cursors_.contains(id));
  auto& cursor = cursors_.at(id);
  cursor.state = state::idle;
  cursor.since = now;
  cursor.rows += rows;
  ++cursor.pages;
}

bool cursor_table::try_later(uint64_t id, clock::steady now) {
  assert(cursors_.contains(id));
  auto& cursor = cursors_.at(id);
  if (cursor.pages > 0 || now + pause_for_lock >= cursor.page_end)
    return false;
  cursor.state = state::waiting;
  cursor.not_before = now + pause_for_lock;
  return true;
}

std::optional<cursor_table::ending> cursor_table::end(uint64_t id, std::optional<failure> error) {
  auto found = cursors_.find(id);
  if (found == cursors_.end())
    return std::nullopt;
  std::optional<ending> result{{id, std::move(found->second), std::move(error)}};
  cursors_.erase(found);
  // Otherwise the error answers the running request for a page.
  if (result->error && result->was.state == state::idle)
    remember(id, *result->error);
  return result;
}

void cursor_table::remember(uint64_t id, failure error) {
  ended_.emplace(id, std::move(error));
  ended_in_order_.push_back(id);
  while (ended_in_order_.size() > max_remembered) {
    ended_.erase(ended_in_order_.front());
    ended_in_order_.pop_front();
  }
}

std::optional<failure> cursor_table::expiry_error(const cursor& cursor, clock::steady now) const {
  if (cursor.opening.request.cancel.cancelled() || cursor.opening.ended.cancelled())
    return make_failure(errc::cancelled, "the cursor was cancelled");
  auto ms = [](milliseconds t) { return std::to_string(t.count()) + " ms"; };
  if (now >= cursor.expires_at)
    return make_failure(errc::deadline_exceeded, "the cursor was open for " + ms(limits_.lifetime)
                                                   + " (cursor_lifetime_ms), after " + std::to_string(cursor.rows)
                                                   + " rows: read in parts with LIMIT, or raise that setting");
  if (cursor.state == state::idle)
    return now < cursor.since + cursor.idle
             ? std::nullopt
             : std::optional{
               make_failure(errc::deadline_exceeded,
                            "the next page was not requested for " + ms(cursor.idle)
                              + " (idle_ms of cursor.open, or cursor_idle_ms): run the query again, and take "
                                "its pages faster or raise that time")};
  if (now < cursor.page_end)
    return std::nullopt;
  return make_failure(errc::deadline_exceeded,
                      cursor.state == state::waiting
                        ? "the time-out passed while the cursor waited for a thread or a lock; raise timeout_ms"
                        : "the time-out passed while the cursor looked for its next row; raise timeout_ms");
}

std::vector<cursor_table::ending> cursor_table::end_due(clock::steady now) {
  std::vector<ending> result;
  for (auto entry = cursors_.begin(); entry != cursors_.end();) {
    auto id = entry->first;
    auto error = expiry_error(entry->second, now);
    ++entry;
    if (error)
      result.push_back(*end(id, std::move(error)));
  }
  return result;
}

std::vector<cursor_table::ending> cursor_table::end_all(const std::string* db, const failure& error,
                                                        bool spares_running) {
  std::vector<ending> result;
  for (auto entry = cursors_.begin(); entry != cursors_.end();) {
    auto id = entry->first;
    auto is_affected =
      (!db || entry->second.opening.request.db == *db) && !(spares_running && entry->second.state == state::running);
    ++entry;
    if (is_affected)
      result.push_back(*end(id, error));
  }
  return result;
}

std::optional<clock::steady> cursor_table::next_deadline() const {
  std::optional<clock::steady> result;
  for (const auto& [id, cursor] : cursors_) {
    auto at = cursor.expires_at;
    if (cursor.state == state::idle)
      at = std::min(at, cursor.since + cursor.idle);
    else
      at = std::min(at, cursor.page_end);
    if (cursor.state == state::waiting && cursor.not_before > cursor.since)
      at = std::min(at, cursor.not_before);
    result = result ? std::min(*result, at) : at;
  }
  return result;
}

cursor_table::cursor* cursor_table::find(uint64_t id) {
  auto found = cursors_.find(id);
  return found == cursors_.end() ? nullptr : &found->second;
}

std::vector<running_request> cursor_table::list(clock::steady now) const {
  std::vector<running_request> result;
  for (const auto& [id, cursor] : cursors_) {
    const auto& request = cursor.opening.request;
    auto& running = result.emplace_back();
    running.db = request.db;
    running.operation = "cursor";
    running.request_id = request.request_id;
    running.agent = request.agent;
    running.peer = request.peer;
    running.sql = abbreviated_sql({&request.query, 1});
    running.is_running = cursor.state == state::running;
    running.since_ms = static_cast<uint64_t>(
      std::max<int64_t>(0, std::chrono::duration_cast<milliseconds>(now - cursor.opened).count()));
    running.rows = cursor.rows;
  }
  return result;
}

} // namespace sluice
