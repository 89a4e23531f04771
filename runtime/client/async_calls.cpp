#include "runtime/client/async_calls.hpp"

#include <algorithm>
#include <iterator>

namespace sluice {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// A token has no callback, so it is polled.
constexpr milliseconds token_poll_interval{10};
constexpr milliseconds longest_between_asking{1'000};
// Tokens are not polled while the thread searches for a leader.
constexpr milliseconds longest_search{100};

// A call of `cancel`. Its answer is dropped: the cancelled call has an answer of its own.
class cancel_call final : public async_call {
public:
  explicit cancel_call(const std::string& id)
    : async_call(retrying_call{"cancel", {{"request_id", id}}, {nullptr, longest_between_asking}, true, false}) {}

  void finish(caf::expected<nlohmann::json>) override {}
  void finish_with(client&) override {}
};

} // namespace

async_calls::~async_calls() {
  {
    lock held{mutex_};
    stopped_ = true;
    link_.stop();
    if (connection_)
      connection_->close();
    work_.notify_one();
  }
  if (thread_.joinable())
    thread_.join();
  for (auto& [tried, call] : under_way_)
    call->finish(call->op.cancelled(tried->sent));
  for (auto& call : unsent_)
    call->finish(call->op.cancelled(false));
}

void async_calls::start(std::unique_ptr<async_call> call) {
  lock held{mutex_};
  if (!thread_.joinable())
    thread_ = std::thread{[this] { run(); }};
  auto sooner = call->op.limit() < next_limit_ || (call->cancel.possible() && !any_cancellable());
  if (call->cancel.possible())
    call->counted_ = cancellable_;
  next_limit_ = std::min(next_limit_, call->op.limit());
  auto idle = under_way_.empty() && unsent_.empty();
  auto live = unsent_.empty() ? link_.live() : nullptr;
  if (live && (under_way_.empty() || connection_ == live)) {
    connection_ = std::move(live);
    if (!post(call))
      unsent_.push_back(std::move(call));
  } else {
    unsent_.push_back(std::move(call));
  }
  if (idle)
    work_.notify_one();
  else if (connection_ && (sooner || !unsent_.empty()))
    connection_->poke();
}

// False when the connection has ended.
bool async_calls::post(owned& owner) {
  auto& call = *owner;
  auto text = call.op.params();
  // The call may be answered before this returns.
  under_way_.emplace(&call.tried, std::move(owner));
  if (connection_->post(call.tried, call.op.method(), text))
    return true;
  auto at = under_way_.find(&call.tried);
  owner = std::move(at->second);
  under_way_.erase(at);
  return false;
}

void async_calls::run() {
  lock held{mutex_};
  while (!stopped_) {
    if (steady_clock::now() >= next_limit_)
      expire(held);
    else if (any_cancellable() && steady_clock::now() >= next_token_check_)
      send_cancels(held);
    else if (under_way_.empty() && unsent_.empty())
      work_.wait(held);
    else if (!unsent_.empty() && can_send() && steady_clock::now() >= retry_at_)
      send_unsent(held);
    else
      await_answers(held);
  }
}

// One connection at a time: the calls on one that ends come first.
bool async_calls::can_send() const { return under_way_.empty() || (!connection_->lost() && !connection_->draining()); }

void async_calls::expire(lock& held) {
  auto now = steady_clock::now();
  std::vector<std::pair<owned, caf::error>> over;
  next_limit_ = time_point::max();
  for (auto at = under_way_.begin(); at != under_way_.end();) {
    auto& call = *at->second;
    // An answer that has arrived meanwhile is handled with the others.
    auto ends = call.op.limit() <= now && connection_->abandon(call.tried);
    if (call.op.limit() > now)
      next_limit_ = std::min(next_limit_, call.op.limit());
    if (ends) {
      auto error = call.op.judge(call.tried, *connection_);
      over.emplace_back(std::move(at->second), error->error());
    }
    at = ends ? under_way_.erase(at) : std::next(at);
  }
  for (auto& call : unsent_) {
    if (call->op.limit() > now) {
      next_limit_ = std::min(next_limit_, call->op.limit());
      continue;
    }
    auto error = call->op.judge_blocked(make_failure(errc::busy, "no leader has been found"));
    over.emplace_back(std::move(call), std::move(*error));
  }
  std::erase(unsent_, nullptr);
  held.unlock();
  for (auto& [call, error] : over)
    call->finish(std::move(error));
  over.clear();
  held.lock();
}

void async_calls::send_unsent(lock& held) {
  auto limit = any_cancellable() ? std::min(next_limit_, steady_clock::now() + longest_search) : next_limit_;
  held.unlock();
  auto leader = link_.get(limit);
  held.lock();
  auto calls = std::exchange(unsent_, {});
  std::vector<std::pair<owned, caf::error>> over;
  if (leader && leader->connection) {
    if (under_way_.empty())
      connection_ = leader->connection;
    for (auto& call : calls)
      if (connection_ != leader->connection || !post(call))
        unsent_.push_back(std::move(call));
  } else if (!leader) {
    for (auto& call : calls) {
      auto error = link_.stopped() ? call->op.cancelled(false) : call->op.judge_blocked(describe(leader.error()));
      if (error)
        over.emplace_back(std::move(call), std::move(*error));
      else
        unsent_.push_back(std::move(call));
    }
    retry_at_ = steady_clock::now() + std::chrono::milliseconds{100};
  }
  held.unlock();
  for (auto& [call, error] : over)
    call->finish(std::move(error));
  if (leader && leader->local)
    for (auto& call : calls)
      call->finish_with(*leader->local);
  over.clear();
  calls.clear();
  held.lock();
}

void async_calls::await_answers(lock& held) {
  auto until = unsent_.empty() ? next_limit_ : std::min(next_limit_, std::max(retry_at_, steady_clock::now()));
  // While the leader shuts down, unsent calls wait for its end.
  if (!under_way_.empty() && connection_->draining())
    until = next_limit_;
  if (any_cancellable())
    until = std::min(until, next_token_check_);
  if (under_way_.empty()) {
    work_.wait_until(held, until);
    return;
  }
  auto connection = connection_;
  held.unlock();
  auto completed = connection->await_posted(until);
  held.lock();
  take(held, completed);
}

// The leader may not know the request yet, or may be about to answer it, so the cancel is repeated until the call has
// ended.
void async_calls::send_cancels(lock& held) {
  auto now = steady_clock::now();
  next_token_check_ = now + token_poll_interval;
  std::vector<std::string> meant;
  for (auto& [tried, call] : under_way_)
    if (call->cancel.cancelled() && now >= call->ask_at_) {
      meant.push_back(call->request_id);
      call->ask_at_ = now + call->ask_again_;
      call->ask_again_ = std::min(2 * call->ask_again_, longest_between_asking);
    }
  for (const auto& id : meant)
    ask_to_cancel(id);
  std::vector<owned> over;
  for (auto& call : unsent_)
    if (call->cancel.cancelled())
      over.push_back(std::move(call));
  std::erase(unsent_, nullptr);
  held.unlock();
  for (auto& call : over)
    call->finish(call->op.cancelled(false, "the request was cancelled while no broker answered"));
  over.clear();
  held.lock();
}

// When the connection has ended, the cancel is not sent; the call is unsent then.
void async_calls::ask_to_cancel(const std::string& request_id) {
  owned call = std::make_unique<cancel_call>(request_id);
  next_limit_ = std::min(next_limit_, call->op.limit());
  static_cast<void>(post(call));
}

void async_calls::take(lock& held, const std::vector<channel::call*>& completed) {
  std::vector<std::pair<owned, caf::expected<nlohmann::json>>> done;
  for (auto* tried : completed) {
    auto at = under_way_.find(tried);
    auto call = std::move(at->second);
    under_way_.erase(at);
    if (auto answer = call->op.judge(*tried, *connection_)) {
      done.emplace_back(std::move(call), std::move(*answer));
      continue;
    }
    retry_at_ = std::max(retry_at_, steady_clock::now() + call->op.pause());
    unsent_.push_back(std::move(call));
  }
  held.unlock();
  for (auto& [call, answer] : done)
    call->finish(std::move(answer));
  done.clear();
  held.lock();
}

} // namespace sluice
