#include "runtime/lab/scenario/events.hpp"

#include <utility>

namespace sluice::scenario {

void events::post(std::function<void()> action) {
  std::lock_guard guard{mutex_};
  posted_.push_back(std::move(action));
  arrived_.notify_one();
}

bool events::pump(bool expected) {
  auto some = call_posted();
  some = call_due() || some;
  if (some)
    return true;
  {
    std::unique_lock held{mutex_};
    auto has_come = [this] { return !posted_.empty(); };
    if (timers_.empty() && !expected && !has_come())
      return false;
    if (timers_.empty())
      arrived_.wait(held, has_come);
    else
      arrived_.wait_until(held, timers_.begin()->first, has_come);
  }
  call_posted();
  call_due();
  return true;
}

bool events::call_posted() {
  std::vector<std::function<void()>> now;
  {
    std::lock_guard guard{mutex_};
    now.swap(posted_);
  }
  for (auto& task : now)
    task();
  return !now.empty();
}

bool events::call_due() {
  std::vector<std::function<void()>> now;
  auto end = timers_.upper_bound(clock::now());
  for (auto at = timers_.begin(); at != end; ++at)
    now.push_back(std::move(at->second));
  timers_.erase(timers_.begin(), end);
  for (auto& task : now)
    task();
  return !now.empty();
}

workers::~workers() {
  {
    std::lock_guard guard{mutex_};
    stopped_ = true;
    wanted_.notify_all();
  }
  for (auto& thread : threads_)
    thread.join();
}

void workers::start(std::function<void()> work) {
  std::lock_guard guard{mutex_};
  waiting_.push_back(std::move(work));
  if (waiting_.size() > idle_)
    threads_.emplace_back([this] { run(); });
  else
    wanted_.notify_one();
}

void workers::run() {
  std::unique_lock held{mutex_};
  for (;;) {
    if (waiting_.empty()) {
      if (stopped_)
        return;
      ++idle_;
      wanted_.wait(held, [this] { return stopped_ || !waiting_.empty(); });
      --idle_;
      continue;
    }
    auto work = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
    held.unlock();
    work();
    work = nullptr;
    held.lock();
  }
}

} // namespace sluice::scenario
