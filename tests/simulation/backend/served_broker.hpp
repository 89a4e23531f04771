#pragma once

#include "runtime/broker/broker.hpp"
#include "runtime/server/service.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace sluice::simulation {

/// The front door's methods of one broker, without sockets: its loop runs in the thread of the simulation.
class served_broker {
public:
  /// `leader` outlives this.
  explicit served_broker(broker& leader);
  served_broker(const served_broker&) = delete;
  served_broker& operator=(const served_broker&) = delete;
  ~served_broker();

  /// Calls a method as an agent; `pump` calls `done`, unless the broker ends before.
  void call(const std::string& agent, const std::string& method, nlohmann::json params, rpc::answer_to done);

  /// Calls a method on a connection of its own, which is closed after so many calls of `pump`, answered or not.
  void abandon(const std::string& method, nlohmann::json params, uint64_t pumps);

  /// Calls `subscribe` on a connection of its own; notifications go to `told`.
  void subscribe(const std::string& agent, nlohmann::json params, rpc::answer_to done, subscriptions::pusher notify);

  /// Delivers the answers so far; false when there were none. Waits for the threads of the service.
  bool pump();

private:
  rpc::handler& port_of(const std::string& agent);
  void close_abandoned();

  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{loop_.get_executor()};
  io_actor_handle actor_;
  broker_info self_;
  std::unique_ptr<service> service_;
  std::map<std::string, std::unique_ptr<rpc::handler>> ports_;
  std::vector<std::unique_ptr<rpc::handler>> subscribers_;
  // The connections to be closed, with the remaining calls of `pump`.
  std::vector<std::pair<std::unique_ptr<rpc::handler>, uint64_t>> abandoned_;
};

} // namespace sluice::simulation
