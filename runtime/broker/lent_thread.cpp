#include "runtime/broker/lent_thread.hpp"

#include <caf/logger.hpp>
#include <caf/resumable.hpp>

#include <algorithm>
#include <utility>

namespace sluice {

namespace {

// Messages that an actor handles before this thread checks again for its answer.
constexpr size_t messages_at_once = 1;

thread_local lent_thread* lent_now = nullptr;

constexpr size_t index_of(blocking_work kind) noexcept { return static_cast<size_t>(kind); }

// Coordinators first, because others may wait for them while this thread reads or writes; writers last, because a
// COMMIT takes longer than a short read.
constexpr std::array in_order{blocking_work::coordination, blocking_work::read, blocking_work::write};

// Whether the job may take long, so that a thread of the pool must run it.
bool has_long_work(const caf::resumable& job) noexcept {
  const auto* known = dynamic_cast<const pooled_job*>(&job);
  return !known || known->has_long_work();
}

} // namespace

lent_thread::lent_thread(blocking_pool* pool, duty has) noexcept
  : pool_(lent_now || blocking_pool::is_in_pool() ? nullptr : pool), duty_(has) {
  if (pool_)
    lent_now = this;
}

lent_thread::~lent_thread() {
  if (!pool_)
    return;
  lent_now = nullptr;
  for (size_t kind = 0; kind < ready_.size(); ++kind)
    if (auto* job = ready_[kind])
      pool_->unit(static_cast<blocking_work>(kind))->exec_later(job);
}

bool lent_thread::serves() noexcept { return lent_now && lent_now->duty_ == duty::serves && !lent_now->has_begun_; }

bool lent_thread::keep(const blocking_pool& pool, blocking_work kind, lending lends, caf::resumable* job) noexcept {
  auto* self = lent_now;
  if (!self || self->pool_ != &pool || !self->may_keep(kind, lends))
    return false;
  self->ready_[index_of(kind)] = job;
  return true;
}

bool lent_thread::may_keep(blocking_work kind, lending lends) const noexcept {
  if (ready_[index_of(kind)] || (duty_ == duty::serves && lends != lending::to_any))
    return false;
  switch (kind) {
  // A coordinator kept here would wait for the running writer, which may take long.
  case blocking_work::coordination: return running_ != blocking_work::write;
  case blocking_work::read: return true;
  case blocking_work::write: return !has_begun_;
  default: return false;
  }
}

bool lent_thread::has_work() const noexcept {
  for (auto* job : ready_)
    if (job)
      return true;
  return false;
}

bool lent_thread::begin() {
  has_begun_ = true;
  if (!pool_->begin_lent())
    return false;
  if (!context_)
    context_.emplace(&pool_->system_);
  logger_before_ = caf::logger::current_logger();
  return true;
}

// When an actor spawns another one, CAF makes the logger of their system current in this thread. That reference would
// keep the system alive until the thread ends.
void lent_thread::end() noexcept {
  if (caf::logger::current_logger() != logger_before_)
    caf::logger::set_current_actor_system(nullptr);
  pool_->end_lent();
}

void lent_thread::run_next() {
  auto is_ready = [this](blocking_work kind) { return ready_[index_of(kind)] != nullptr; };
  auto kind = *std::find_if(in_order.begin(), in_order.end(), is_ready);
  auto* job = std::exchange(ready_[index_of(kind)], nullptr);
  auto to_pool = [&] { pool_->unit(kind)->exec_later(job); };
  // The writer has received another message since, which may take long.
  if (kind == blocking_work::write && duty_ == duty::serves && has_long_work(*job))
    return to_pool();
  running_ = kind;
  auto is_done = job->resume(&*context_, messages_at_once) != caf::resumable::resume_later;
  running_.reset();
  if (is_done)
    caf::intrusive_ptr_release(job);
  else if (may_go_on(kind))
    ready_[index_of(kind)] = job;
  else
    to_pool();
}

bool lent_thread::may_go_on(blocking_work kind) const noexcept {
  if (ready_[index_of(kind)])
    return false;
  // The next message may come from another client and take long. A serving thread checks before each message.
  return kind != blocking_work::write || duty_ == duty::serves;
}

} // namespace sluice
