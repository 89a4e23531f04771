#include "runtime/client/leader_link.hpp"

#include <unistd.h>

namespace sluice {

using std::chrono::steady_clock;

leader_link::leader_link(election_options options, descriptor connection, lead_function lead, silence_policy silence)
  : options_(std::move(options)), lead_(std::move(lead)), silence_(std::move(silence)),
    owner_(getpid()), leader_{std::make_shared<channel>(std::move(connection), meant_root(), silence_), nullptr} {}

caf::expected<leader_link::leader> leader_link::get(time_point limit) {
  // The connection would be shared with the parent, and both would read the other's answers.
  if (is_forked())
    return make_error(errc::invalid_request, "a client cannot be used by a forked process; open one there");
  std::unique_lock held{mutex_};
  for (;;) {
    if (stopped_)
      return make_error(errc::unavailable, "the client is being closed");
    auto connection = leader_.connection;
    if (leader_.local || (connection && !connection->lost() && !connection->draining()))
      return leader_;
    if (connection && !connection->lost()) {
      // The next leader can lead only after this one has ended.
      held.unlock();
      auto gone = connection->await_loss(limit);
      held.lock();
      if (!gone)
        return make_error(errc::unavailable, "the leader is stepping down, and has not gone yet");
    } else if (search_) {
      auto other = search_;
      if (!found_.wait_until(held, limit, [&] { return other->over; }))
        return make_error(errc::busy, "no leader has been found yet");
      if (other->failed && code_of(*other->failed) != errc::busy && code_of(*other->failed) != errc::unavailable)
        return *other->failed;
      if (other->failed && steady_clock::now() >= limit)
        return *other->failed;
    } else {
      search_ = std::make_shared<search>();
      held.unlock();
      auto found = find(limit);
      held.lock();
      if (found)
        leader_ = std::move(*found);
      else
        search_->failed = found.error();
      search_->over = true;
      search_.reset();
      found_.notify_all();
      if (!found)
        return std::move(found.error());
    }
  }
}

std::shared_ptr<channel> leader_link::live() {
  std::lock_guard held{mutex_};
  auto& connection = leader_.connection;
  return connection && !connection->lost() && !connection->draining() && !is_forked() ? connection : nullptr;
}

std::shared_ptr<client> leader_link::local_leader() {
  std::lock_guard held{mutex_};
  return leader_.local;
}

void leader_link::stop() {
  std::lock_guard held{mutex_};
  stopped_ = true;
  if (leader_.connection)
    leader_.connection->close();
}

caf::expected<leader_link::leader> leader_link::find(time_point limit) {
  repeated_election election{options_};
  for (;;) {
    auto found = election.find(limit, &stopped_);
    if (!found && code_of(found.error()) == errc::deadline_exceeded)
      return make_error(errc::unavailable, describe(found.error()).message);
    if (!found)
      return std::move(found.error());
    if (found->connection)
      return leader{std::make_shared<channel>(std::move(found->connection), meant_root(), silence_), nullptr};
    auto local = lead_(std::move(*found));
    if (local)
      return leader{nullptr, std::move(*local)};
    if (code_of(local.error()) != errc::busy || steady_clock::now() >= limit || stopped_)
      return std::move(local.error());
  }
}

std::optional<file_identity> leader_link::meant_root() const {
  return options_.root ? std::optional{options_.root->identity()} : std::nullopt;
}

bool leader_link::is_forked() const noexcept { return getpid() != owner_; }

} // namespace sluice
