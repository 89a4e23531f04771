#pragma once

#include "messages/audit.hpp"
#include "runtime/server/rpc/methods.hpp"
#include "runtime/server/service.hpp"

#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

struct operation;
struct operation_call;
/// Whose requests a client's are for the policy, in this name.
principal principal_of(const client_link& link, std::string_view agent);

/// The methods of the protocol for one client. Its destructor cancels the client's reads and its writes that have not
/// begun, and ends its subscriptions. A write that was sent as a notification is executed all the same, because no
/// client waits for it.
class broker_handler final : public rpc::handler {
public:
  broker_handler(service& owner, client_link link);
  broker_handler(const broker_handler&) = delete;
  broker_handler& operator=(const broker_handler&) = delete;
  ~broker_handler() override;

  void set_request_id(const nlohmann::json* id) override { is_notification_ = id == nullptr; }
  void call(const std::string& method, nlohmann::json params, rpc::answer_to done) override;
  rpc::typed_reader* reader() override;
  bool takes(const rpc::typed_request& request) const override;
  void call_typed(rpc::typed_request&& request, rpc::answer_to done) override;
  void note_refusal(std::string_view method, const nlohmann::json& params, const rpc::error& reason) override;

  void hold(bool is_behind) override;
  void leave() override;
  void quote_texts() override { quotes_texts_ = true; }
  bool has_subscriptions() const override { return !subscribed_.empty(); }

private:
  // One call under way. It owns everything that its method needs later, or refers to objects that outlive it. A
  // continuation therefore keeps only the call: its client, and this handler, may be gone by then.
  struct pending;
  using call_ptr = std::shared_ptr<pending>;

  // Handlers are static, so that none of them can leave its own address in a continuation.
  struct handler {
    std::string_view method;
    void (*run)(const nlohmann::json& params, const call_ptr& call);
  };
  static const handler handlers[];
  static constexpr bool every_method_has_its_handler();
  static const handler& handler_of(const rpc::method& method);

  static void hello(const nlohmann::json& params, const call_ptr& call);
  static void ping(const nlohmann::json& params, const call_ptr& call);
  static void write(const nlohmann::json& params, const call_ptr& call);
  static void start(write_request request, const call_ptr& call);
  static void start(read_request request, const call_ptr& call);
  static void read(const nlohmann::json& params, const call_ptr& call);
  static void call_operation(const nlohmann::json& params, const call_ptr& call);
  static void migrate(const nlohmann::json& params, const call_ptr& call);
  static void list_operations(const nlohmann::json& params, const call_ptr& call);
  static void issue_capsule(const nlohmann::json& params, const call_ptr& call);
  static void verify_capsule(const nlohmann::json& params, const call_ptr& call);
  static void revoke_capsule(const nlohmann::json& params, const call_ptr& call);
  static void prove(const nlohmann::json& params, const call_ptr& call);
  static void promote(const nlohmann::json& params, const call_ptr& call);
  static void list_promotions(const nlohmann::json& params, const call_ptr& call);
  static void describe_schema(const nlohmann::json& params, const call_ptr& call);
  static void cancel(const nlohmann::json& params, const call_ptr& call);
  static void open_cursor(const nlohmann::json& params, const call_ptr& call);
  static void next_page(const nlohmann::json& params, const call_ptr& call);
  static void close_cursor(const nlohmann::json& params, const call_ptr& call);
  static void status(const nlohmann::json& params, const call_ptr& call);
  static void list_audit(const nlohmann::json& params, const call_ptr& call);
  static void prune_audit(const nlohmann::json& params, const call_ptr& call);
  static void verify_audit(const nlohmann::json& params, const call_ptr& call);
  static void note_refused(const nlohmann::json& params, const call_ptr& call);
  static void subscribe(const nlohmann::json& params, const call_ptr& call);
  static void unsubscribe(const nlohmann::json& params, const call_ptr& call);
  static void shutdown(const nlohmann::json& params, const call_ptr& call);
  static void log(const nlohmann::json& params, const call_ptr& call);
  static void recent_logs(const nlohmann::json& params, const call_ptr& call);
  static void reset_retries(const nlohmann::json& params, const call_ptr& call);
  static void put(const nlohmann::json& params, const call_ptr& call);
  static void get(const nlohmann::json& params, const call_ptr& call);
  static void flush(const nlohmann::json& params, const call_ptr& call);
  static void list_rejected(const nlohmann::json& params, const call_ptr& call);
  static void requeue(const nlohmann::json& params, const call_ptr& call);
  static void discard(const nlohmann::json& params, const call_ptr& call);
  static void decide_on_rejected(const nlohmann::json& params, const call_ptr& call, bool discard, const char* done);

  // broker_handler_access.cpp
  static failure read_only_failure(std::string_view what);

  caf::error check_subscriptions(size_t names);
  static void run_write(const database& db, write_request request, const call_ptr& call);

  // broker_handler_capsules.cpp
  struct capsule_demand;
  static std::shared_ptr<const access_policy> policy_of(const call_ptr& call);
  static std::shared_ptr<const request_grant> policy_grant(const call_ptr& call);
  static std::shared_ptr<const request_grant> check_capsule(const capsule_demand& demand, const call_ptr& call);
  static bool use_capsule(write_request& request, const call_ptr& call);
  static bool use_capsule(const operation& called, operation_call& request, const call_ptr& call);
  template <class Work, class Done> static void work_on_files(const call_ptr& call, Work work, Done done);

  // broker_handler_reads.cpp
  struct waiting_read;
  static void run_read(const database& db, read_request request, const call_ptr& call);
  void ask_or_wait(const database& db, read_request request, const call_ptr& call);
  void ask(const database& db, read_request request, const call_ptr& call);
  void run_waiting();
  void refuse_waiting(const std::function<bool(const waiting_read&)>& is_meant, errc code, const char* reason);
  void drop_cancelled();
  void await_time_out();

  // broker_handler_cursors.cpp
  struct own_cursor {
    database db;
    integer_form integers = integer_form::number;
    // Cancelled when it has ended.
    cancel_token ended;
    requests_under_way::entry under_way;
  };
  static void run_open(const database& db, read_request request, const call_ptr& call);
  static void run_next(uint64_t id, const call_ptr& call);
  void keep_cursor(uint64_t id, own_cursor cursor);
  void forget_cursor(uint64_t id);
  void forget_cursors(bool ended_only);
  void run_held_pages();
  void end_cancelled_cursors();

  service& service_;
  const std::shared_ptr<const client_link> link_;
  // Calls find this handler through it, as long as the handler exists.
  std::shared_ptr<broker_handler> here_{this, [](broker_handler*) {}};
  // Answers to reads may be large, and their size is not known in advance. Therefore only some reads run at a time, and
  // none is started while the client does not read its answers. The others wait here, so that they do not delay
  // `cancel` and other methods with small answers.
  static constexpr size_t max_reading = 8;
  size_t reading_ = 0;
  bool is_held_ = false;
  std::list<waiting_read> waiting_;
  boost::asio::steady_timer time_out_;
  // The cursors of this client, by their numbers; possibly including ended ones.
  std::map<uint64_t, own_cursor> cursors_;
  bool uses_cursors_ = false;
  // Calls for pages that wait until the client reads its answers.
  std::vector<std::function<void()>> held_pages_;
  // Cancelled when the client has gone.
  const cancel_token left_ = cancel_token::make();
  // Whether an operation of this client may wait for room in the buffer.
  bool waits_for_room_ = false;
  bool is_notification_ = false;
  bool quotes_texts_ = false;
  // The subscriptions, each with the bytes of its table names; possibly including lost ones.
  std::map<subscriptions::id, size_t> subscribed_;
  // If set, the error of every request on this connection.
  std::optional<errc> refused_;
};

} // namespace sluice
