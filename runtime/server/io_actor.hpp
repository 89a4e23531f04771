#pragma once

#include "messages/interfaces.hpp"
#include "runtime/broker/own_system.hpp"

#include <boost/asio/io_context.hpp>
#include <caf/all.hpp>

#include <atomic>
#include <mutex>
#include <vector>

namespace sluice {

class io_actor;

} // namespace sluice

namespace caf {

template <> class behavior_type_of<sluice::io_actor> {
public:
  using type = behavior;
};

} // namespace caf

namespace sluice {

/// An Asio loop as an actor: the thread that runs the loop handles its messages, between two events of its sockets. An
/// answer therefore goes from the actor that sends it to the thread that writes it to a socket without the scheduler,
/// and the answers of one group commit wake that thread once.
///
/// All functions except `enqueue` are called by the loop's thread, or before that thread starts.
class io_actor
  : public caf::extend<caf::scheduled_actor, io_actor>::with<caf::mixin::sender, caf::mixin::requester,
                                                             caf::mixin::subscriber, caf::mixin::behavior_changer> {
public:
  using signatures = caf::none_t;
  using behavior_type = caf::behavior;

  /// `loop` outlives this until `disconnect`.
  io_actor(caf::actor_config& cfg, boost::asio::io_context& loop);

  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit* host) override;
  void launch(caf::execution_unit* host, bool lazy, bool hide) override;

  /// Takes no more messages and drops the requests under way. Call it when the loop has stopped, or in the loop's
  /// thread.
  void disconnect();

private:
  void work();

  std::mutex mutex_;
  boost::asio::io_context* loop_;
  std::vector<caf::mailbox_element_ptr> inbox_;
};

/// A self-referencing `io_actor`; call `disconnect` before the loop is destroyed. Leaves no thread-local state of the
/// actor system in the thread that creates it.
class io_actor_handle {
public:
  io_actor_handle(caf::actor_system& system, boost::asio::io_context& loop) {
    run_in_new_thread([&] { owner_ = system.spawn<io_actor, caf::hidden>(loop); });
    self_ = static_cast<io_actor*>(caf::actor_cast<caf::abstract_actor*>(owner_));
  }
  io_actor_handle(const io_actor_handle&) = delete;
  io_actor_handle& operator=(const io_actor_handle&) = delete;
  ~io_actor_handle() { self_->disconnect(); }

  io_actor* get() const noexcept { return self_; }
  io_actor* operator->() const noexcept { return self_; }
  const caf::actor& handle() const noexcept { return owner_; }

private:
  caf::actor owner_;
  io_actor* self_ = nullptr;
};

} // namespace sluice
