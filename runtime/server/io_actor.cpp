#include "runtime/server/io_actor.hpp"

#include <boost/asio/post.hpp>

namespace sluice {

namespace {

using base = caf::extend<caf::scheduled_actor, io_actor>::with<caf::mixin::sender, caf::mixin::requester,
                                                               caf::mixin::subscriber, caf::mixin::behavior_changer>;

} // namespace

io_actor::io_actor(caf::actor_config& cfg, boost::asio::io_context& loop) : base(cfg), loop_(&loop) {
  context(system().dummy_execution_unit());
}

void io_actor::launch(caf::execution_unit*, bool, bool hide) {
  if (!hide)
    register_at_system();
}

void io_actor::enqueue(caf::mailbox_element_ptr message, caf::execution_unit*) {
  std::unique_lock guard{mutex_};
  if (!loop_)
    return;
  inbox_.push_back(std::move(message));
  // The loop has been woken already, and will take all messages in the inbox.
  if (inbox_.size() > 1)
    return;
  boost::asio::post(*loop_, [this, alive = caf::strong_actor_ptr{ctrl()}] { work(); });
}

void io_actor::work() {
  std::vector<caf::mailbox_element_ptr> batch;
  {
    std::lock_guard guard{mutex_};
    batch.swap(inbox_);
  }
  for (auto& message : batch)
    activate(system().dummy_execution_unit(), *message);
}

void io_actor::disconnect() {
  std::vector<caf::mailbox_element_ptr> unread;
  {
    std::lock_guard guard{mutex_};
    loop_ = nullptr;
    unread.swap(inbox_);
  }
  cleanup(caf::exit_reason::user_shutdown, system().dummy_execution_unit());
}

} // namespace sluice
