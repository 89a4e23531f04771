#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace sluice::scenario {

/// Events for one thread, from other threads and timers.
class events {
public:
  using clock = std::chrono::steady_clock;

  /// Any thread.
  void post(std::function<void()> action);

  void after(std::chrono::milliseconds time, std::function<void()> action) {
    timers_.emplace(clock::now() + time, std::move(action));
  }

  /// Waits for the next of them, and calls all that are due. False if nothing is to come by the clock and `expected`
  /// says that nothing is by others.
  bool pump(bool expected);

private:
  bool call_due();
  bool call_posted();

  std::multimap<clock::time_point, std::function<void()>> timers_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::function<void()>> posted_;
};

/// Threads for work that blocks: as many as there is work at once.
class workers {
public:
  workers() = default;
  workers(const workers&) = delete;
  workers& operator=(const workers&) = delete;
  /// Waits for the running work.
  ~workers();

  /// @throws std::system_error when there can be no more threads
  void start(std::function<void()> work);

private:
  void run();

  std::mutex mutex_;
  std::condition_variable wanted_;
  std::vector<std::function<void()>> waiting_;
  size_t idle_ = 0;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

} // namespace sluice::scenario
