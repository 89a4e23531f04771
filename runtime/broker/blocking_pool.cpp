#include "runtime/broker/blocking_pool.hpp"

#include "runtime/broker/answer_batch.hpp"
#include "runtime/broker/lent_thread.hpp"

#include <caf/actor_system.hpp>
#include <caf/resumable.hpp>

#include <algorithm>
#include <cassert>
#include <system_error>
#include <utility>

namespace sluice {

namespace {

constexpr size_t min_threads = 4;
constexpr std::chrono::seconds retry_pause{1};

// The maximum number of messages that an actor handles in one turn. Turns of coordinators and readers are short,
// because their messages wake no thread before the turn ends.
constexpr std::array<size_t, 4> messages_per_turn{32, 256, 256, 1};

// The maximum number of short reads that a thread runs before it checks whether the cache has messages; the cache then
// answers several at once.
constexpr size_t short_reads_in_a_row = 8;

bool sends_at_end(blocking_work kind) noexcept {
  return kind == blocking_work::coordination || kind == blocking_work::read;
}

// Leaves the core's resources to its other hardware thread for a moment.
void pause_briefly() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// The pool of this thread while it runs an actor whose messages are sent at the end of its turn.
thread_local const blocking_pool* ending_turn = nullptr;

// The pool of this thread.
thread_local const blocking_pool* pool_of_thread = nullptr;

// The lock of a pool is held for a much shorter time than a system call takes. To sleep and be woken would cost both
// threads much more than to spin.
void lock_soon(std::unique_lock<std::mutex>& lock) {
  constexpr auto tries = 100;
  for (auto i = 0; i < tries; ++i) {
    if (lock.try_lock())
      return;
    pause_briefly();
  }
  lock.lock();
}

blocking_pool_settings checked(blocking_pool_settings settings) {
  settings.threads = std::max(settings.threads, min_threads);
  return settings;
}

} // namespace

template <size_t... Is>
std::array<blocking_pool::lane_unit, sizeof...(Is)> blocking_pool::make_units(std::index_sequence<Is...>) {
  return {lane_unit{*this, system_, Is}...};
}

blocking_pool::blocking_pool(caf::actor_system& system, blocking_pool_settings settings)
  : system_(system), settings_(checked(std::move(settings))), units_(make_units(std::make_index_sequence<12>{})) {
  try {
    std::lock_guard guard{mutex_};
    while (workers_.size() < kept_threads)
      add_worker();
  } catch (const std::system_error&) {
    stop();
    throw;
  }
}

blocking_pool::~blocking_pool() { stop(); }

bool blocking_pool::is_own_thread() const noexcept { return pool_of_thread == this; }

bool blocking_pool::is_in_pool() noexcept { return pool_of_thread != nullptr; }

size_t blocking_pool::threads() const {
  std::lock_guard guard{mutex_};
  return workers_.size();
}

void blocking_pool::lane_unit::exec_later(caf::resumable* job) {
  if (lends_ == lending::none || !lent_thread::keep(*pool_, kind_, lends_, job))
    pool_->submit(kind_, job);
}

bool blocking_pool::begin_lent() noexcept {
  lent_.fetch_add(1);
  if (refuses_lent_) {
    end_lent();
    return false;
  }
  pool_of_thread = this;
  return true;
}

void blocking_pool::end_lent() noexcept {
  pool_of_thread = nullptr;
  lent_.fetch_sub(1);
  if (refuses_lent_)
    lent_.notify_all();
}

void blocking_pool::submit(blocking_work kind, caf::resumable* job) {
  worker_ptr woken;
  {
    std::unique_lock guard{mutex_, std::defer_lock};
    lock_soon(guard);
    if (!is_stopped_) {
      lane_of(kind).waiting.push_back(std::exchange(job, nullptr));
      // A thread that is about to look for work takes this job, and wakes another thread if there are more.
      auto is_taken_soon = ending_turn == this || returning_.load(std::memory_order_relaxed) != 0;
      if (!is_taken_soon && (has_room(static_cast<size_t>(kind)) || needs_watch()))
        woken = find_worker();
    }
  }
  // Called after unlocking, because the woken thread takes the lock first.
  if (woken)
    woken->wake.notify_one();
  if (job)
    caf::intrusive_ptr_release(job);
}

// Readers leave two of the maximum number of threads to other kinds, writers leave one. When no further thread can be
// created, each kind leaves some of the existing ones to the kinds before it.
bool blocking_pool::has_room(size_t kind) const noexcept {
  const std::array<size_t, 4> most{coordination_threads, service_threads, settings_.threads - 1, settings_.threads - 2};
  auto room = most[kind];
  if (is_exhausted_)
    room = std::min(room, workers_.size() - std::min(workers_.size() - 1, kind));
  auto running = lanes_[kind].running;
  if (running < room)
    return true;
  auto may_have_more = kind == static_cast<size_t>(blocking_work::write) && !is_exhausted_;
  return may_have_more && running < room + extra_shares * settings_.threads && running - long_writers() < room;
}

size_t blocking_pool::long_writers() const noexcept {
  auto since = std::chrono::steady_clock::now() - settings_.long_write;
  return static_cast<size_t>(std::count_if(workers_.begin(), workers_.end(), [&](const worker_ptr& worker) {
    return worker->writes_since != std::chrono::steady_clock::time_point{} && worker->writes_since <= since;
  }));
}

// When writers wait, no other event shows that the running ones have become long ones.
bool blocking_pool::needs_watch() const noexcept {
  return !is_watched_ && !is_stopping_ && !lanes_[static_cast<size_t>(blocking_work::write)].waiting.empty();
}

bool blocking_pool::has_work() const noexcept {
  for (size_t kind = 0; kind < lanes_.size(); ++kind)
    if (!lanes_[kind].waiting.empty() && has_room(kind))
      return true;
  return false;
}

blocking_pool::task blocking_pool::take_from(blocking_work kind) noexcept {
  auto& lane = lane_of(kind);
  task found{lane.waiting.front(), kind};
  lane.waiting.pop_front();
  ++lane.running;
  return found;
}

blocking_pool::task blocking_pool::take() noexcept {
  for (size_t kind = 0; kind < lanes_.size(); ++kind)
    if (!lanes_[kind].waiting.empty() && has_room(kind))
      return take_from(static_cast<blocking_work>(kind));
  return {};
}

blocking_pool::task blocking_pool::take_short_read() noexcept {
  auto& lane = lane_of(blocking_work::read);
  if (lane.waiting.empty() || !has_room(static_cast<size_t>(blocking_work::read)))
    return {};
  const auto* job = dynamic_cast<const pooled_job*>(lane.waiting.front());
  return job && !job->has_long_work() ? take_from(blocking_work::read) : task{};
}

blocking_pool::worker_ptr blocking_pool::take_idle() noexcept {
  if (idle_.empty())
    return nullptr;
  auto found = std::move(idle_.back());
  idle_.pop_back();
  found->is_idle = false;
  return found;
}

// The thread to wake; null when a new thread, or none, takes the work.
blocking_pool::worker_ptr blocking_pool::find_worker() {
  auto found = take_idle();
  if (!found && !is_stopping_)
    grow();
  return found;
}

void blocking_pool::grow() {
  // The watching thread runs no jobs.
  auto most = settings_.threads + service_threads + coordination_threads;
  if (workers_.size() >= most
      && workers_.size() >= most + 1 + std::min(long_writers(), extra_shares * settings_.threads))
    return;
  auto now = std::chrono::steady_clock::now();
  if (is_exhausted_ && now < retry_at_)
    return;
  for (auto& thread : std::exchange(ended_, {}))
    thread.join();
  try {
    add_worker();
    is_exhausted_ = false;
  } catch (const std::system_error&) {
    // A busy thread takes this job when it is done.
    is_exhausted_ = true;
    retry_at_ = now + retry_pause;
  }
}

void blocking_pool::add_worker() {
  auto added = std::make_shared<worker>();
  workers_.push_back(added);
  try {
    added->thread = settings_.make_thread([this, added] { run(added); });
  } catch (...) {
    workers_.pop_back();
    throw;
  }
}

void blocking_pool::run(const worker_ptr& self) {
  pool_of_thread = this;
  answer_batch context{system_};
  std::unique_lock lock{mutex_};
  auto spared = false;
  size_t short_reads = 0;
  for (;;) {
    task next;
    if (short_reads > 0 && short_reads < short_reads_in_a_row)
      next = take_short_read();
    auto is_short = next.job != nullptr;
    if (!is_short)
      next = take();
    short_reads = is_short || next.kind == blocking_work::read ? short_reads + 1 : 0;
    if (!next.job) {
      if (is_stopping_ || !wait_for_work(self, lock))
        return;
      continue;
    }
    // Not twice in a row: a coordinator that always has messages would otherwise keep the threads of the others.
    spared = next.kind == blocking_work::coordination && !spared;
    auto helper = !spared && !is_short && (has_work() || needs_watch()) ? find_worker() : nullptr;
    self->writes_since =
      next.kind == blocking_work::write ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
    lock.unlock();
    if (helper)
      helper->wake.notify_one();
    ending_turn = sends_at_end(next.kind) ? this : nullptr;
    auto is_done =
      next.job->resume(&context, messages_per_turn[static_cast<size_t>(next.kind)]) != caf::resumable::resume_later;
    ending_turn = nullptr;
    context.flush();
    if (is_done)
      caf::intrusive_ptr_release(next.job);
    returning_.fetch_add(1, std::memory_order_relaxed);
    lock_soon(lock);
    returning_.fetch_sub(1, std::memory_order_relaxed);
    self->writes_since = {};
    auto& lane = lane_of(next.kind);
    --lane.running;
    if (!is_done)
      lane.waiting.push_back(next.job);
  }
}

void blocking_pool::watch(const worker_ptr& self, std::unique_lock<std::mutex>& lock) {
  is_watched_ = true;
  self->wake.wait_for(lock, settings_.long_write, [&] { return !self->is_idle; });
  is_watched_ = false;
  if (std::exchange(self->is_idle, false))
    std::erase(idle_, self);
}

// Waits for work; false when this thread must end.
bool blocking_pool::wait_for_work(const worker_ptr& self, std::unique_lock<std::mutex>& lock) {
  self->is_idle = true;
  idle_.push_back(self);
  if (needs_watch()) {
    watch(self, lock);
    return true;
  }
  auto is_woken = [&] { return !self->is_idle; };
  if (workers_.size() <= kept_threads) {
    self->wake.wait(lock, is_woken);
    return true;
  }
  if (self->wake.wait_for(lock, settings_.keep_idle, is_woken) || workers_.size() <= kept_threads) {
    // Too few threads would be left, so this one waits on without a bound.
    self->wake.wait(lock, is_woken);
    return true;
  }
  end_worker(self);
  return false;
}

void blocking_pool::end_worker(const worker_ptr& self) {
  std::erase(idle_, self);
  ended_.push_back(std::move(self->thread));
  std::erase(workers_, self);
}

void blocking_pool::stop() {
  assert(!is_own_thread());
  std::vector<worker_ptr> workers;
  std::vector<std::thread> ended;
  {
    std::lock_guard guard{mutex_};
    if (std::exchange(is_stopping_, true))
      return;
    while (auto worker = take_idle())
      workers.push_back(std::move(worker));
    for (auto& worker : workers)
      worker->wake.notify_one();
    workers = workers_;
    ended.swap(ended_);
  }
  for (auto& worker : workers)
    if (worker->thread.joinable())
      worker->thread.join();
  for (auto& thread : ended)
    thread.join();
  refuses_lent_ = true;
  for (auto running = lent_.load(); running != 0; running = lent_.load())
    lent_.wait(running);
  std::array<lane, 4> left;
  {
    std::lock_guard guard{mutex_};
    is_stopped_ = true;
    workers_.clear();
    std::swap(left, lanes_);
  }
  for (auto& lane : left)
    for (auto* job : lane.waiting)
      caf::intrusive_ptr_release(job);
}

} // namespace sluice
