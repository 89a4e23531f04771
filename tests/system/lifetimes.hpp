#pragma once

#include "runtime/broker/broker.hpp"

#include <caf/all.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

/// Requests of hosts to a broker, and the ways in which it may end. Used by tests, and by programs that they start, so
/// it uses no test framework: failures are `std::runtime_error`.
namespace sluice::test::lifetimes {

using namespace std::chrono_literals;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool is_sanitized = true;
#else
constexpr bool is_sanitized = false;
#endif
#else
constexpr bool is_sanitized = false;
#endif

/// The time in which everything must have ended.
constexpr std::chrono::seconds time_to_end = is_sanitized ? 120s : 10s;

/// Aborts the process, with the name of what hangs, unless it is destroyed in time.
class watchdog {
public:
  explicit watchdog(std::string action, std::chrono::seconds limit = time_to_end)
    : thread_([this, action = std::move(action), limit] {
        std::unique_lock lock{mutex_};
        if (over_.wait_for(lock, limit, [this] { return is_over_; }))
          return;
        std::fprintf(stderr, "not within %lld s: %s\n", static_cast<long long>(limit.count()), action.c_str());
        std::abort();
      }) {}
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;
  ~watchdog() {
    {
      std::lock_guard guard{mutex_};
      is_over_ = true;
    }
    over_.notify_one();
    thread_.join();
  }

private:
  std::mutex mutex_;
  std::condition_variable over_;
  bool is_over_ = false;
  std::thread thread_;
};

inline size_t entries_of(const char* folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator{folder}, {}));
}

/// Threads and descriptors, of which a process must have the same number before and after a broker.
struct resources {
  size_t threads = entries_of("/proc/self/task");
  size_t descriptors = entries_of("/proc/self/fd");

  /// Waits, because a thread ends some time after it was asked to.
  void require_back() const {
    auto give_up = std::chrono::steady_clock::now() + time_to_end;
    for (;;) {
      resources now;
      if (now.threads <= threads && now.descriptors <= descriptors)
        return;
      if (std::chrono::steady_clock::now() > give_up)
        throw std::runtime_error("left behind: " + std::to_string(now.threads) + " threads, which were "
                                 + std::to_string(threads) + ", and " + std::to_string(now.descriptors)
                                 + " descriptors, which were " + std::to_string(descriptors));
      std::this_thread::sleep_for(1ms);
    }
  }
};

template <class T> T need(caf::expected<T> result) {
  if (!result)
    throw std::runtime_error(std::string{to_string(code_of(result.error()))} + ": " + describe(result.error()).message);
  return std::move(*result);
}

inline broker_config config_of(const std::filesystem::path& root) {
  broker_config result;
  result.root = root;
  return result;
}

inline write_request insert(int64_t id) {
  write_request result;
  result.agent = "agent";
  result.db = "app.db";
  result.statements = {{"INSERT INTO t (id) VALUES (?)", {id}}};
  return result;
}

inline write_request make_tables() {
  write_request result;
  result.agent = "host";
  result.db = "app.db";
  result.statements = {{"CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY)", {}},
                       {"CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, n)", {}}};
  return result;
}

// On a slow machine a read may wait long for a reader; none of these ends because of that.
constexpr std::chrono::minutes longest_read{10};

inline read_request count_rows() {
  read_request result;
  result.limits.timeout = longest_read;
  result.agent = "agent";
  result.db = "app.db";
  result.query.sql = "SELECT count(*) FROM t";
  result.freshness = freshness::fresh;
  return result;
}

inline database open_app(broker& from) {
  auto db = need(from.open_database("app.db"));
  need(db.write(make_tables()));
  return db;
}

/// A number of rows larger than a page of a cursor.
inline read_request many_rows() {
  read_request result;
  result.limits.timeout = longest_read;
  result.agent = "agent";
  result.db = "app.db";
  result.query.sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 25000) SELECT x FROM n";
  return result;
}

inline buffer_put keep(int64_t id) {
  buffer_put result;
  result.row = {"app.db", "kept", {{"id", id}}};
  result.values = {{"n", id}};
  result.agent = "agent";
  return result;
}

/// Counts how requests ended. Thread-safe.
class tally {
public:
  int64_t next() noexcept { return ++last_; }

  template <class Result> bool note(const caf::expected<Result>& result, int64_t written = 0) {
    if (result)
      note_success(written);
    else
      note_failure(result.error());
    return static_cast<bool>(result);
  }

  void note_success(int64_t written) {
    std::lock_guard guard{mutex_};
    ++successes_;
    if (written > 0)
      acknowledged_.insert(written);
  }

  /// Whether a request that is under way when its broker ends, or that comes later, failed for that reason.
  void note_failure(const caf::error& failed) {
    auto error = describe(failed);
    auto is_expected = error.code == errc::unavailable || error.code == errc::cancelled
                       || error.code == errc::overloaded || error.code == errc::route_required;
    // A caller that gets such an error would repeat the call for ever.
    auto misleads = error.message.find("restarted") != std::string::npos;
    std::lock_guard guard{mutex_};
    if (!is_expected || misleads)
      ++wrong_[std::string{to_string(error.code)} + ": " + error.message];
  }

  std::set<int64_t> acknowledged() const {
    std::lock_guard guard{mutex_};
    return acknowledged_;
  }

  size_t successes() const {
    std::lock_guard guard{mutex_};
    return successes_;
  }

  void require_typed() const {
    std::lock_guard guard{mutex_};
    std::string all;
    for (const auto& [text, count] : wrong_)
      all += "\n" + std::to_string(count) + " times " + text;
    if (!all.empty())
      throw std::runtime_error("requests ended with what their callers cannot use:" + all);
  }

private:
  mutable std::mutex mutex_;
  std::atomic<int64_t> last_{0};
  std::set<int64_t> acknowledged_;
  size_t successes_ = 0;
  std::map<std::string, int> wrong_;
};

/// Whether the broker has ended.
inline bool is_over(const caf::error& error) { return code_of(error) != errc::overloaded; }

} // namespace sluice::test::lifetimes
