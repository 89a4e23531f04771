#pragma once

#include "messages/read.hpp"
#include "messages/write.hpp"
#include "runtime/broker/answer_batch.hpp"
#include "runtime/broker/blocking_pool.hpp"

#include <caf/all.hpp>

#include <atomic>
#include <memory>
#include <utility>

namespace sluice {

/// An actor that runs only on the threads of a `blocking_pool`, whichever thread sends a message: CAF asks the
/// execution unit of the sender, or the scheduler for messages of timers and of plain threads, to run an actor that has
/// become ready. This class asks the pool instead. Mailbox, order and supervision are CAF's own.
template <class Base> class pooled_actor final : public Base, public pooled_job {
public:
  pooled_actor(caf::actor_config& cfg, std::shared_ptr<blocking_pool> pool, blocking_work kind)
    : Base(cfg), pool_(std::move(pool)), kind_(kind) {}

  using Base::enqueue;

  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit*) override {
    auto lends = message ? lending_for(*message) : lending::none;
    // Set before the message is in the mailbox.
    if (lends != lending::to_any && !(message && ends_group(*message)))
      has_long_work_ = true;
    Base::enqueue(std::move(message), pool_->unit(kind_, lends));
  }

  void launch(caf::execution_unit*, bool lazy, bool hide) override {
    Base::launch(pool_->unit(kind_, lending::to_waiting), lazy, hide);
  }

  caf::resumable::resume_result resume(caf::execution_unit* unit, size_t max_messages) override {
    auto result = caf::resumable::resume_later;
    // A writer answers with a group, and may take long for the next one.
    auto* answers = kind_ == blocking_work::write ? dynamic_cast<answer_batch*>(unit) : nullptr;
    for (; answers && max_messages > 1 && result == caf::resumable::resume_later; --max_messages) {
      result = Base::resume(unit, 1);
      answers->flush();
    }
    if (result == caf::resumable::resume_later)
      result = Base::resume(unit, max_messages);
    // If a message arrives at this moment, the pool runs the actor again.
    if (result == caf::resumable::awaiting_message)
      has_long_work_ = false;
    return result;
  }

  bool has_long_work() const noexcept override { return has_long_work_; }

private:
  lending lending_for(caf::mailbox_element& message) const {
    switch (kind_) {
    case blocking_work::coordination: return lending::to_any;
    case blocking_work::write:
      if (!message.content().template match_elements<write_request>())
        return lending::none;
      return message.content().template get_as<write_request>(0).is_short ? lending::to_any : lending::to_waiting;
    case blocking_work::read:
      return message.content().template match_elements<run_read>()
                 && message.content().template get_as<run_read>(0).is_tiny
               ? lending::to_any
               : lending::none;
    default: return lending::none;
    }
  }

  // The writer's message to itself, which comes after the messages of the group.
  bool ends_group(caf::mailbox_element& message) const {
    return kind_ == blocking_work::write && message.content().template match_elements<caf::flush_atom, uint64_t>();
  }

  std::shared_ptr<blocking_pool> pool_;
  blocking_work kind_;
  std::atomic<bool> has_long_work_{false};
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
