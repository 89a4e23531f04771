#include "runtime/broker/broker_core.hpp"
#include "runtime/sqlite/files/file_claims.hpp"
#include "runtime/sqlite/files/file_guard.hpp"

// The end of a broker, and the errors of requests at that time. It may be ended by the host, by the last owner in some
// thread or actor, by the end of the host's actor system, and by the end of the program.
namespace sluice {

broker_core::~broker_core() {
  if (!in_child())
    end();
}

// From now on, a caller that opens the store waits for the end. @pre locked
void broker_core::announce_end() {
  if (lock)
    lock->is_ending();
  for (auto& [folder, claim] : claims_)
    claim.is_ending();
}

bool broker_core::begin_to_close() {
  std::unique_lock guard{mutex_};
  if (state_ == state::open) {
    state_ = state::closing;
    announce_end();
    return true;
  }
  closed_.wait(guard, [this] { return state_ == state::closed; });
  return false;
}

void broker_core::closing_is_done() {
  std::lock_guard guard{mutex_};
  state_ = state::closed;
  closed_.notify_all();
}

bool broker_core::is_closed() const {
  std::lock_guard guard{mutex_};
  return state_ != state::open;
}

caf::error broker_core::shutdown() {
  if (auto error = in_child())
    return make_error(*error);
  if (is_own_thread())
    return make_error(in_own_thread());
  door->close();
  if (!begin_to_close())
    return {};
  // Closed before the writers, which cannot empty the log while a cursor is open.
  static_cast<void>(ask<caf::ok_atom>(actors->cursors(), caf::close_atom_v));
  auto closed = ask<caf::ok_atom>(actors->supervisor(), caf::close_atom_v);
  // Without a supervisor the other actors may still be ending. Their connections must be closed first.
  if (why_failed())
    stop_pool();
  leave();
  return closed ? caf::error{} : std::move(closed.error());
}

void broker_core::leave() {
  {
    std::lock_guard guard{mutex_};
    state_ = state::closing;
  }
  // The log's actor may have failed just before, and not closed it.
  log->close();
  log->abandon();
  // Another store may be at the path by now.
  if (root.is_in_place())
    capsules.keep_time();
  remove_wal_files();
  forget_actors();
  stop_pool();
  closing_is_done();
}

void broker_core::abandon() {
  {
    std::lock_guard guard{mutex_};
    state_ = state::closing;
  }
  log->close();
  log->abandon();
  forget_actors();
  stop_pool();
  closing_is_done();
}

void broker_core::forget_actors() {
  // The actors have references to each other through the registry; clearing it releases them.
  if (auto deadlines = actors->deadlines())
    caf::anon_send_exit(deadlines, caf::exit_reason::user_shutdown);
  if (cursors)
    caf::anon_send_exit(cursors, caf::exit_reason::user_shutdown);
  actors->clear();
  hits->clear();
  std::lock_guard guard{mutex_};
  cursors = nullptr;
  claims_.clear();
  if (file_claims_)
    file_claims_->clear();
  lock.reset();
  held_folder.reset();
}

void broker_core::end() {
  static_cast<void>(shutdown());
  stop_pool();
  access->close();
  std::unique_ptr<own_system> last;
  {
    std::lock_guard guard{mutex_};
    idle_waiters_.clear();
    last = std::move(owned);
  }
  if (last && last->is_own_thread())
    last->destroy_later();
}

// The actor that this thread runs is one of those that `end` waits for.
void broker_core::end_later() {
  // The front door uses the host's object, which is being destroyed.
  door->close();
  {
    std::lock_guard guard{mutex_};
    if (state_ == state::open)
      announce_end();
  }
  auto self = shared_from_this();
  // Without a thread for it, the core is not destroyed.
  if (!run_in_background([self] { self->end(); }))
    static_cast<void>(new std::shared_ptr<broker_core>{self});
}

// CAF ends its own service actors first, and then its scheduler: these actors end in a thread of the scheduler, which
// continues when their functors have returned.
void broker_core::end_with(caf::actor_system& host) {
  auto& service = host.spawn_serv();
  if (!service)
    return;
  service->get()->attach_functor([known = weak_from_this()] {
    if (auto core = known.lock())
      core->end();
  });
}

failure broker_core::in_own_thread() {
  return make_failure(
    errc::invalid_request,
    "this was called by a thread of the broker, in on_warning or on_failure, which would wait for itself; have "
    "another thread call it");
}

std::optional<failure> broker_core::in_child() const {
  if (fork_count() == forks_)
    return std::nullopt;
  return make_failure(
    errc::unavailable,
    "this process was forked from the one that opened the broker, and cannot use it; open a client or a "
    "broker here, after the fork");
}

failure broker_core::closed_error() const {
  if (auto error = in_child())
    return *error;
  return make_failure(errc::unavailable, "the broker has been shut down");
}

broker_core::waiter::waiter(broker_core& core)
  : core_(core), refused_(core.in_child()), use_(*core.access), lent_(use_ ? core.pool.get() : nullptr) {
  if (!refused_ && core.is_own_thread())
    refused_ = in_own_thread();
  if (!refused_ && !use_)
    refused_ = core.closed_error();
  if (refused_)
    return;
  {
    std::lock_guard guard{core.mutex_};
    if (!core.idle_waiters_.empty()) {
      self_ = std::move(core.idle_waiters_.back());
      core.idle_waiters_.pop_back();
    }
  }
  if (!self_)
    self_ = make_receiver<blocking_receiver>(*core.system);
}

broker_core::waiter::~waiter() {
  if (!self_)
    return;
  std::lock_guard guard{core_.mutex_};
  core_.idle_waiters_.push_back(std::move(self_));
}

} // namespace sluice
