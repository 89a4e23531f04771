#include "tests/simulation/backend/served_broker.hpp"

#include <unistd.h>

namespace sluice::simulation {

served_broker::served_broker(broker& leader) : actor_(leader.system(), loop_) {
  self_.pid = getpid();
  self_.version = "simulation";
  service_ = std::make_unique<service>(leader, self_, loop_, *actor_.get(), [](std::string_view) {});
}

// Destroys the handlers before the service, whose remaining posts are dropped with the loop.
served_broker::~served_broker() {
  ports_.clear();
  subscribers_.clear();
  abandoned_.clear();
  service_.reset();
}

void served_broker::call(const std::string& agent, const std::string& method, nlohmann::json params,
                         rpc::answer_to done) {
  port_of(agent).call(method, std::move(params), std::move(done));
}

void served_broker::subscribe(const std::string& agent, nlohmann::json params, rpc::answer_to done,
                              subscriptions::pusher notify) {
  subscribers_.push_back(service_->open_handler({{}, agent, std::move(notify)}));
  subscribers_.back()->call("subscribe", std::move(params), std::move(done));
}

void served_broker::abandon(const std::string& method, nlohmann::json params, uint64_t pumps) {
  auto port = service_->open_handler({{}, "gone", {}});
  port->call(method, std::move(params), [](rpc::answer) {});
  if (pumps > 0)
    abandoned_.emplace_back(std::move(port), pumps);
}

void served_broker::close_abandoned() {
  std::erase_if(abandoned_, [](auto& x) { return --x.second == 0; });
}

bool served_broker::pump() {
  close_abandoned();
  // Waits for the threads of the service, which read files, so that each run is the same.
  return service_->at_work() ? loop_.run_one() > 0 : loop_.poll_one() > 0;
}

rpc::handler& served_broker::port_of(const std::string& agent) {
  auto& result = ports_[agent];
  if (!result)
    result = service_->open_handler({{}, agent, {}});
  return *result;
}

} // namespace sluice::simulation
