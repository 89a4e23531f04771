#pragma once

#include "runtime/broker/broker.hpp"
#include "runtime/server/endpoint.hpp"
#include "runtime/server/io_actor.hpp"
#include "runtime/server/service.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>
#include <string>
#include <thread>

namespace sluice {

/// The methods of the protocol for callers in the broker's process: the same `service` as behind the socket, on a
/// thread of its own. Thread-safe, except the destructor.
class in_process_methods {
public:
  /// `leader` outlives this. Throws `std::system_error` when no thread can be created.
  explicit in_process_methods(broker& leader);
  in_process_methods(const in_process_methods&) = delete;
  in_process_methods& operator=(const in_process_methods&) = delete;
  ~in_process_methods();

  /// Calls a method and waits for its result. `params` is an object or null, its text UTF-8. Methods that need a
  /// connection, or another process to stop, are `errc::route_required`.
  caf::expected<nlohmann::json> call(const std::string& method, nlohmann::json params);

  /// Ends calls under way, and all later ones, as if the client had disconnected: `errc::cancelled`.
  void leave();

private:
  broker_info info_;
  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{loop_.get_executor()};
  io_actor_handle actor_;
  service service_;
  std::unique_ptr<rpc::handler> handler_;
  std::thread thread_;
};

} // namespace sluice
