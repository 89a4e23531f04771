#pragma once

#include "runtime/frontdoor/service.hpp"

#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace sluice {

/// The methods of the protocol for one client. Destroying it cancels the client's reads and ends its subscriptions.
class service_port final : public rpc::port {
public:
  service_port(service& owner, client_link link);
  service_port(const service_port&) = delete;
  service_port& operator=(const service_port&) = delete;
  ~service_port() override;

  /// Whether there is such a method.
  static bool knows(std::string_view name);

  void call(const std::string& method, nlohmann::json params, rpc::answer_to done) override;

  bool busy() const override { return reading_ >= max_reading; }
  bool engaged() const override { return !subscribed_.empty(); }

private:
  // One call under way: who asked, since when, and where the answer goes.
  struct pending;
  using call_ptr = std::shared_ptr<pending>;

  struct method {
    std::string_view name;
    void (service_port::*run)(const nlohmann::json& params, const call_ptr& call);
  };
  static const method methods[];
  static const method* find(std::string_view name);

  void hello(const nlohmann::json& params, const call_ptr& call);
  void ping(const nlohmann::json& params, const call_ptr& call);
  void write(const nlohmann::json& params, const call_ptr& call);
  void read(const nlohmann::json& params, const call_ptr& call);
  void cancel(const nlohmann::json& params, const call_ptr& call);
  void status(const nlohmann::json& params, const call_ptr& call);
  void list_audit(const nlohmann::json& params, const call_ptr& call);
  void verify_audit(const nlohmann::json& params, const call_ptr& call);
  void subscribe(const nlohmann::json& params, const call_ptr& call);
  void unsubscribe(const nlohmann::json& params, const call_ptr& call);
  void shutdown(const nlohmann::json& params, const call_ptr& call);
  void log(const nlohmann::json& params, const call_ptr& call);
  void recent_logs(const nlohmann::json& params, const call_ptr& call);
  void reset_retries(const nlohmann::json& params, const call_ptr& call);
  void put(const nlohmann::json& params, const call_ptr& call);
  void get(const nlohmann::json& params, const call_ptr& call);
  void flush(const nlohmann::json& params, const call_ptr& call);
  void list_rejected(const nlohmann::json& params, const call_ptr& call);
  void requeue(const nlohmann::json& params, const call_ptr& call);
  void discard(const nlohmann::json& params, const call_ptr& call);

  template <class Request>
  void refuse(const call_ptr& call, const Request& x, request_type type, const caf::error& why) const;
  template <class Request> void sign(Request& x, pending& call) const;
  void decide_on_rejected(const nlohmann::json& params, const call_ptr& call, bool discard, const char* done);
  void run_read(const database& db, read_request request, const call_ptr& call);

  service& service_;
  client_link link_;
  // Answers that come when the port is gone are dropped.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  // Answers to reads may be large, and nobody knows how large before they are there.
  static constexpr size_t max_reading = 8;
  size_t reading_ = 0;
  std::set<std::string> to_cancel_;
  std::set<subscriptions::id> subscribed_;
  // Why nothing is done for this connection.
  std::optional<errc> refused_;
};

} // namespace sluice
