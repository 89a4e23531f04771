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

  /// For any thread.
  void post(std::function<void()> action);

  void after(std::chrono::milliseconds time, std::function<void()> action) {
    timers_.emplace(clock::now() + time, std::move(action));
  }

  /// Waits for the next event, and calls all that are due. False if no timer is pending and `expected` says that no
  /// other thread will post one.
  bool pump(bool expected);

private:
  bool call_due();
  bool call_posted();

  std::multimap<clock::time_point, std::function<void()>> timers_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::function<void()>> posted_;
};

/// Threads for blocking work: as many as there is concurrent work.
class workers {
public:
  workers() = default;
  workers(const workers&) = delete;
  workers& operator=(const workers&) = delete;
  /// Waits for the running work.
  ~workers();

  /// @throws std::system_error when no further thread can be created
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
