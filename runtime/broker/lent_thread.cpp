#include "runtime/broker/lent_thread.hpp"

#include <caf/resumable.hpp>

#include <utility>

namespace sluice {

namespace {

// Messages that an actor handles before this thread looks again whether its answer is there.
constexpr size_t messages_at_once = 1;

thread_local lent_thread* lent_now = nullptr;

constexpr size_t index_of(blocking_work kind) noexcept { return static_cast<size_t>(kind); }

} // namespace

lent_thread::lent_thread(blocking_pool* pool) noexcept
  : pool_(lent_now || blocking_pool::is_in_pool() ? nullptr : pool) {
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

bool lent_thread::keep(const blocking_pool& pool, blocking_work kind, caf::resumable* job) noexcept {
  auto* self = lent_now;
  if (!self || self->pool_ != &pool || !self->may_keep(kind))
    return false;
  self->ready_[index_of(kind)] = job;
  return true;
}

bool lent_thread::may_keep(blocking_work kind) const noexcept {
  if (ready_[index_of(kind)])
    return false;
  switch (kind) {
  // While a writer runs, which may take long, nobody else would run it.
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
  return true;
}

void lent_thread::end() noexcept { pool_->end_lent(); }

// Coordinators first: others may wait for them while this thread reads or writes.
void lent_thread::run_next() {
  size_t kind = 0;
  while (!ready_[kind])
    ++kind;
  auto* job = std::exchange(ready_[kind], nullptr);
  running_ = static_cast<blocking_work>(kind);
  auto is_done = job->resume(&*context_, messages_at_once) != caf::resumable::resume_later;
  running_.reset();
  // The next message of a writer may be another's, and take long.
  auto may_go_on = static_cast<blocking_work>(kind) != blocking_work::write && !ready_[kind];
  if (is_done)
    caf::intrusive_ptr_release(job);
  else if (may_go_on)
    ready_[kind] = job;
  else
    pool_->unit(static_cast<blocking_work>(kind))->exec_later(job);
}

} // namespace sluice
