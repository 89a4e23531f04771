#include "runtime/broker/refusing_actor.hpp"

#include "messages/error.hpp"

#include <caf/all.hpp>

namespace sluice {

namespace {

class refusing_actor final : public caf::monitorable_actor {
public:
  explicit refusing_actor(caf::actor_config& cfg) : caf::monitorable_actor(cfg) {}

  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit* context) override {
    if (!element || !element->sender || !element->mid.is_request())
      return;
    auto message = element->move_content_to_message();
    auto error = message.size() > 0 && message.match_element<failure>(0) ? message.get_as<failure>(0) : failure{};
    element->sender->enqueue(
      caf::make_mailbox_element(nullptr, element->mid.response_id(), caf::no_stages, make_error(std::move(error))),
      context);
  }
};

} // namespace

refusal_actor make_refusing_actor(caf::actor_system& system) {
  caf::actor_config cfg;
  return caf::actor_cast<refusal_actor>(
    caf::make_actor<refusing_actor, caf::strong_actor_ptr>(system.next_actor_id(), system.node(), &system, cfg));
}

} // namespace sluice
