#pragma once

#include "messages/read.hpp"
#include "messages/write.hpp"
#include "runtime/broker/blocking_pool.hpp"

#include <caf/all.hpp>

#include <memory>
#include <utility>

namespace sluice {

/// An actor that runs on the threads of a `blocking_pool` and nowhere else, from whatever thread a message comes: CAF
/// asks the execution unit of the sender, or the scheduler for messages of timers and of plain threads, to run an actor
/// that has become ready. Here the pool is asked instead. Mailbox, order and supervision are CAF's own.
template <class Base> class pooled_actor final : public Base {
public:
  pooled_actor(caf::actor_config& cfg, std::shared_ptr<blocking_pool> pool, blocking_work kind)
    : Base(cfg), pool_(std::move(pool)), kind_(kind) {}

  using Base::enqueue;

  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit*) override {
    auto is_short = message && brings_short_work(*message);
    Base::enqueue(std::move(message), pool_->unit(kind_, is_short));
  }

  void launch(caf::execution_unit*, bool lazy, bool hide) override { Base::launch(pool_->unit(kind_), lazy, hide); }

private:
  // A thread that waits for its answer runs its own write and what is short, if this actor is ready for it only now.
  bool brings_short_work(caf::mailbox_element& message) const {
    switch (kind_) {
    case blocking_work::coordination: return true;
    case blocking_work::write: return message.content().template match_elements<write_request>();
    case blocking_work::read:
      return message.content().template match_elements<run_read>()
             && message.content().template get_as<run_read>(0).is_tiny;
    default: return false;
    }
  }

  std::shared_ptr<blocking_pool> pool_;
  blocking_work kind_;
};

/// Spawns `behavior` on the pool, as `caf::actor_system::spawn` does on the scheduler. The end of the system does not
/// wait for it.
template <caf::spawn_options Options = caf::no_spawn_options, class Behavior, class... Parts>
auto spawn_pooled(caf::actor_system& system, std::shared_ptr<blocking_pool> pool, blocking_work kind, Behavior behavior,
                  Parts&&... parts) {
  using base = caf::infer_impl_from_fun_t<Behavior>;
  caf::actor_config cfg;
  caf::detail::init_fun_factory<base, Behavior> initial;
  cfg.init_fun = initial(std::move(behavior), std::forward<Parts>(parts)...);
  return system.spawn_class<pooled_actor<base>, Options + caf::hidden>(cfg, std::move(pool), kind);
}

} // namespace sluice
