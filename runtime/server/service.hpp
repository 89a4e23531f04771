#pragma once

#include "actors/base/request_ids.hpp"
#include "runtime/broker/broker.hpp"
#include "runtime/catalogue/live_catalogue.hpp"
#include "runtime/server/endpoint.hpp"
#include "runtime/server/health_check.hpp"
#include "runtime/server/io_actor.hpp"
#include "runtime/server/metrics.hpp"
#include "runtime/server/opened_databases.hpp"
#include "runtime/server/requests_under_way.hpp"
#include "runtime/server/rpc/handler.hpp"
#include "runtime/server/rpc/typed_request.hpp"
#include "runtime/server/subscriptions.hpp"
#include "runtime/server/traffic.hpp"
#include "runtime/server/turns.hpp"
#include "runtime/store/live_policy.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sluice {

/// One client, as its transport knows it.
struct client_link {
  peer_identity peer{};
  /// The agent of requests without an agent.
  std::string agent{};
  /// Sends a notification. Empty if the transport has none.
  subscriptions::pusher push{};
  /// The name of the bearer token with which it came; empty for the store's own, which makes it the owner, and where
  /// there are none.
  std::string token{};
  /// Whether it has no process that could be known, as over HTTP.
  bool is_remote = false;
  /// Another name of the owner's own requests, as `agent` is one.
  std::string own_name{};
};

/// The methods of the protocol (docs/reference/protocol.md), on a broker in this process. Used by the loop's thread,
/// which it never blocks: it sends messages to actors, and leaves files and large results to threads of its own.
class service {
public:
  /// Called when a client tells the leader to step down.
  using stop_request = std::function<void(std::string_view reason)>;

  /// Everything given outlives this.
  service(broker& leader, const broker_info& self, boost::asio::io_context& loop, io_actor& actor, stop_request stop);
  service(const service&) = delete;
  service& operator=(const service&) = delete;
  ~service();

  /// The handler for one client; the service outlives it.
  std::unique_ptr<rpc::handler> open_handler(client_link link);

  /// Collects the status of the store at some time after the call, and calls `done` once. Concurrent calls share one
  /// collection.
  void describe(std::function<void(const nlohmann::json&)> done);

  /// The metrics for monitoring systems.
  void scrape(std::function<void(std::string)> done);

  /// Checks whether a write is possible, with a result that is at most one second old: a file can be created, no
  /// database is in quarantine. Passes the reason if not, else nothing.
  void check_health(std::function<void(std::optional<std::string>)> done);

  /// The broker is about to end: requests refused for that reason carry `draining`.
  void set_draining() noexcept { draining_ = true; }

  /// Whether one of its threads runs a task that will post to the loop.
  bool at_work() const noexcept { return at_work_ > 0; }

  /// Whether every method that changes something is refused; set by the front door before it serves.
  bool is_read_only = false;

  /// The current number of connections, for the status; set by the front door.
  std::function<size_t()> count_connections;

private:
  friend class broker_handler;

  // Runs `work`, which may block, in another thread, and calls `done` with its result on the thread of the loop.
  template <class Work, class Done> void in_background(boost::asio::thread_pool& thread, Work work, Done done) {
    ++at_work_;
    boost::asio::post(thread, [this, work = std::move(work), done = std::move(done)]() mutable {
      boost::asio::post(loop_, [this, done = std::move(done), result = work()]() mutable {
        --at_work_;
        done(std::move(result));
      });
    });
  }

  // At most 100 ms behind their files. Looks at these files in this thread, and reads them when they have changed: a
  // call that waited for another thread would be overtaken by the requests behind it.
  const live_catalogue& operations();

  using with_opened = std::function<void(caf::expected<database>)>;
  // Whether a request requires that the database's file exists, or may create it.
  enum class file_use : uint8_t { must_exist, may_make };
  using opening = std::pair<std::string, file_use>;
  void with_database(const std::string& name, file_use use, with_opened then);
  void opened(const opening& opening, const caf::expected<database>& db);
  void gather_for_all();
  void gather_cursors(std::vector<running_request> reads);
  void gather_with(std::vector<running_request> reads);
  void run_health_check(std::function<void(health_check::result)> done);
  void cancel_read(const std::string& request_id, std::function<void(bool)> done);
  // Returns the newest commit of the database; later ones will be published.
  uint64_t listen(const database& db);
  void stop(std::string_view reason) {
    set_draining();
    stop_(reason);
  }

  broker& leader_;
  const broker_info& self_;
  boost::asio::io_context& loop_;
  io_actor& actor_;
  stop_request stop_;
  bool draining_ = false;
  size_t at_work_ = 0;
  // Separate queues, so that only requests with large results wait for large results.
  boost::asio::thread_pool files_{1};
  boost::asio::thread_pool rendering_{1};
  opened_databases databases_;
  // For the thread of the loop.
  rpc::typed_reader reader_;
  std::map<opening, std::vector<with_opened>> opening_;
  std::set<std::string> listening_;
  live_catalogue operations_;
  // The grant of writes without a capsule under the policy that is in force, and that policy.
  std::shared_ptr<const access_policy> granting_policy_;
  std::shared_ptr<const request_grant> policy_grant_;
  std::chrono::steady_clock::time_point operations_checked_at_{};
  // Requests for the status that wait for the next collection; those of the running one are not among them.
  std::vector<std::function<void(const nlohmann::json&)>> awaiting_status_;
  bool gathering_ = false;
  // Limits concurrent queries such as pages of the audit.
  turns lookups_{4};
  subscriptions subscriptions_;
  requests_under_way under_way_;
  request_ids ids_;
  health_check health_;
  traffic traffic_;
  metrics metrics_;
};

/// The leader as clients see it.
nlohmann::json as_json(const broker_info& info);

} // namespace sluice
