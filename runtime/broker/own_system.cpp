#include "runtime/broker/own_system.hpp"

#include "messages/interfaces.hpp"
#include "runtime/broker/blocking_pool.hpp"
#include "runtime/os/forks.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <future>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace sluice {

namespace {

using namespace std::chrono_literals;

// Agents of the host that still run after this time are ended with the system.
constexpr std::chrono::milliseconds time_for_agents{3'000};
// The system's own threads then end in a few milliseconds; threads of the host that are tied to it may live for ever.
constexpr std::chrono::milliseconds time_for_threads{500};
// The time for threads of the host at the end of the process.
constexpr std::chrono::milliseconds time_for_host{2'000};
// The end of the process waits this long for background work.
constexpr std::chrono::milliseconds time_for_background{10'000};

// The system that this thread belongs to.
thread_local const caf::actor_system* system_of_thread = nullptr;

class mark_threads final : public caf::thread_hook {
public:
  void init(caf::actor_system& system) override { system_ = &system; }
  void thread_started() override { system_of_thread = system_; }
  void thread_terminates() override { system_of_thread = nullptr; }

private:
  const caf::actor_system* system_ = nullptr;
};

// Thread-local objects, such as CAF's pointer to a logger, are destroyed before static ones.
enum class thread_locals : uint8_t { unknown, alive, gone };
thread_local thread_locals state_of_locals = thread_locals::unknown;

struct locals_watch {
  locals_watch() { state_of_locals = thread_locals::alive; }
  ~locals_watch() { state_of_locals = thread_locals::gone; }
};

void watch_locals() {
  // The watch is created after CAF's pointer, so it is destroyed before it.
  static_cast<void>(caf::logger::current_logger());
  static thread_local const locals_watch watch;
  static_cast<void>(watch);
}

// Run by the main thread, which destroys static objects.
[[maybe_unused]] const auto is_main_watched = (watch_locals(), true);

void wait_for_agents(caf::actor_system& system) {
  auto end = std::chrono::steady_clock::now() + time_for_agents;
  // CAF reports the end of the last actor only to a caller that waits without a bound.
  for (auto pause = 1ms; system.registry().running() > 0 && std::chrono::steady_clock::now() < end;
       pause = std::min(2 * pause, 20ms))
    std::this_thread::sleep_for(pause);
}

// A thread that destroys a system, or a broker.
struct destroyer {
  std::promise<void> promise;
  std::future<void> done = promise.get_future();
  std::thread thread;
  std::chrono::milliseconds time_at_exit = time_for_host;

  bool ends_within(std::chrono::milliseconds time) { return done.wait_for(time) == std::future_status::ready; }
};

// Null when no thread can be created.
std::unique_ptr<destroyer> start_destroyer(const std::function<void()>& work) {
  auto started = std::make_unique<destroyer>();
  try {
    started->thread = std::thread{[work, promise = std::move(started->promise)]() mutable {
      work();
      promise.set_value();
    }};
  } catch (const std::system_error&) {
    return nullptr;
  }
  return started;
}

// The destroyers that no caller waits for; joined when the process ends.
class destroyers {
public:
  // Never destroyed: brokers that are static objects may end after its destructor would have run.
  static destroyers& all() {
    static auto& instance = *new destroyers;
    static const at_exit wait{instance};
    return instance;
  }

  void add(std::unique_ptr<destroyer> owned) {
    std::lock_guard guard{mutex_};
    if (is_exiting_)
      return join_or_detach(std::move(owned));
    std::erase_if(left_, [](const auto& each) {
      auto is_done = each->ends_within(0ms);
      if (is_done)
        each->thread.join();
      return is_done;
    });
    left_.push_back(std::move(owned));
  }

private:
  struct at_exit {
    destroyers& all;
    ~at_exit() { all.join_or_detach_all(); }
  };

  void join_or_detach_all() {
    // A forked child has none of the threads, and perhaps a locked mutex of one.
    if (fork_count() != forks_)
      return;
    std::lock_guard guard{mutex_};
    is_exiting_ = true;
    for (auto& owned : left_)
      join_or_detach(std::move(owned));
    left_.clear();
  }

  // If the process ends in a thread of such a system, or if a thread lives on that is tied to it, the destroyer is
  // detached.
  static void join_or_detach(std::unique_ptr<destroyer> owned) {
    if (!system_of_thread && !blocking_pool::is_in_pool() && owned->ends_within(owned->time_at_exit))
      owned->thread.join();
    else
      owned.release()->thread.detach();
  }

  std::mutex mutex_;
  bool is_exiting_ = false;
  std::vector<std::unique_ptr<destroyer>> left_;
  const uint64_t forks_ = fork_count();
};

} // namespace

void run_in_new_thread(const std::function<void()>& work) {
  std::exception_ptr failed;
  std::thread{[&] {
    try {
      work();
    } catch (...) {
      failed = std::current_exception();
    }
  }}.join();
  if (failed)
    std::rethrow_exception(failed);
}

bool run_in_background(const std::function<void()>& work) {
  auto started = start_destroyer(work);
  if (!started)
    return false;
  started->time_at_exit = time_for_background;
  destroyers::all().add(std::move(started));
  return true;
}

own_system::own_system(size_t threads) : parts_(std::make_unique<parts>()) {
  watch_locals();
  auto& config = parts_->config;
  // Workers of the sharing policy block when idle, which also hands over to detached actors faster.
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-threads", threads);
  config.add_thread_hook<mark_threads>();
  add_message_types(config);
  run_in_new_thread([this] { parts_->system = std::make_unique<caf::actor_system>(parts_->config); });
}

own_system::~own_system() {
  if (!parts_)
    return;
  // The host has spawned an actor in the system from this thread.
  if (state_of_locals == thread_locals::alive && caf::logger::current_logger() == &get().logger())
    caf::logger::set_current_actor_system(nullptr);
  auto agents_ended = std::make_shared<std::promise<void>>();
  auto agents = agents_ended->get_future();
  auto started = start_destroyer(destruction(std::move(agents_ended)));
  if (started)
    agents.wait();
  if (started && started->ends_within(time_for_threads))
    started->thread.join();
  else if (started)
    destroyers::all().add(std::move(started));
}

void own_system::destroy_later() {
  if (auto started = start_destroyer(destruction(std::make_shared<std::promise<void>>())))
    destroyers::all().add(std::move(started));
}

std::function<void()> own_system::destruction(std::shared_ptr<std::promise<void>> agents_ended) {
  // Without a thread for it, the system is not destroyed.
  return [left = parts_.release(), agents_ended = std::move(agents_ended)] {
    wait_for_agents(*left->system);
    agents_ended->set_value();
    left->system->await_actors_before_shutdown(false);
    delete left;
  };
}

bool own_system::is_own_thread() const noexcept { return parts_ && system_of_thread == parts_->system.get(); }

} // namespace sluice
