#include "runtime/client/local_client.hpp"

#include "actors/base/utf8_text.hpp"
#include "actors/shared/unrecorded_requests.hpp"
#include "runtime/broker/admission_limits.hpp"
#include "runtime/broker/store_status.hpp"
#include "runtime/json/json_text.hpp"
#include "runtime/os/forks.hpp"
#include "runtime/os/user_name.hpp"
#include "runtime/server/in_process.hpp"
#include "runtime/server/opened_databases.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/server/rpc/request_names.hpp"
#include "runtime/store/live_policy.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <future>
#include <iterator>
#include <mutex>
#include <shared_mutex>
#include <system_error>
#include <unistd.h>

namespace sluice {

namespace {

class local_client final : public client {
public:
  explicit local_client(broker leader) : broker_(std::move(leader)) {}

  ~local_client() override {
    // The threads that its destructor would wait for belong to the parent.
    if (is_forked())
      static_cast<void>(methods_.release());
  }

  caf::expected<write_result> write(write_request request) override {
    // The methods of the protocol check capsules.
    if (request.grant)
      return write_with_capsule(request);
    auto db = open(request_type::write, request);
    end_when_closed(request);
    return db ? db->write(std::move(request)) : std::move(db.error());
  }

  caf::expected<read_result> read(read_request request) override {
    auto db = open(request_type::read, request);
    end_when_closed(request);
    return db ? db->read(std::move(request)) : std::move(db.error());
  }

  std::future<caf::expected<write_result>> write_async(write_request request) override {
    if (request.grant)
      return write_later(std::move(request));
    auto db = open(request_type::write, request);
    end_when_closed(request);
    return db ? db->write_async(std::move(request)) : failed<write_result>(std::move(db.error()));
  }

  std::future<caf::expected<read_result>> read_async(read_request request) override {
    auto db = open(request_type::read, request);
    end_when_closed(request);
    return db ? db->read_async(std::move(request)) : failed<read_result>(std::move(db.error()));
  }

  caf::expected<std::unique_ptr<cursor>> open_cursor(read_request request) override {
    auto db = open(request_type::cursor_open, request);
    end_when_closed(request);
    return db ? db->open_cursor(std::move(request)) : std::move(db.error());
  }

  caf::expected<audit_page> audit(const audit_query& query) override { return broker_.audit(query); }

  caf::expected<audit_verdict> verify_audit() override { return broker_.verify_audit(); }

  caf::expected<nlohmann::json> status() override {
    std::vector<running_request> running;
    for (auto part : {broker_.running_reads(), broker_.open_cursors()})
      if (part)
        std::move(part->begin(), part->end(), std::back_inserter(running));
    auto status = gather_status(broker_, std::move(running));
    status.in_process = true;
    return as_json(status);
  }

  caf::expected<nlohmann::json> call(std::string_view method, nlohmann::json params) override {
    // Refuses requests that could not be sent to a broker, so that both kinds of client behave alike.
    auto error = is_utf8(method) ? utf8_error(params) : make_error(errc::invalid_request, "method is not valid UTF-8");
    if (error) {
      record(method, params, error);
      return error;
    }
    auto all = methods();
    return all ? (*all)->call(std::string{method}, std::move(params)) : std::move(all.error());
  }

  void close() override {
    closed_.cancel();
    std::lock_guard held{methods_mutex_};
    if (methods_)
      methods_->leave();
  }

private:
  caf::expected<write_result> write_with_capsule(const write_request& request) {
    auto answer = call("write", rpc::params_of(request));
    return answer ? rpc::write_result_from_json(*answer) : std::move(answer.error());
  }

  std::future<caf::expected<write_result>> write_later(write_request request) {
    try {
      return std::async(std::launch::async,
                        [this, request = std::move(request)] { return write_with_capsule(request); });
    } catch (const std::system_error& lacking) {
      return failed<write_result>(
        make_error(errc::unavailable, std::string{"the write needs a thread: "} + lacking.what()));
    }
  }

  template <class Request> void end_when_closed(Request& request) const {
    request.cancel = request.cancel.possible() ? closed_.derive(request.cancel) : closed_;
  }

  bool is_forked() const noexcept { return fork_count() != forks_; }

  // The handler of the protocol's methods, created by the first call.
  caf::expected<in_process_methods*> methods() {
    std::lock_guard held{methods_mutex_};
    if (is_forked())
      return make_error(errc::unavailable,
                        "this process was forked from the one that opened the client, and cannot use "
                        "it; open a client here, after the fork");
    try {
      if (!methods_) {
        methods_ = std::make_unique<in_process_methods>(broker_);
        if (closed_.cancelled())
          methods_->leave();
      }
    } catch (const std::system_error& lacking) {
      return make_error(errc::unavailable, std::string{"the call needs a thread: "} + lacking.what());
    }
    return methods_.get();
  }

  // Refuses requests that reach neither a database nor the buffer, and records them in the audit.
  template <class Request> caf::expected<database> open(request_type type, Request& request) {
    auto admitted = admit(type, request);
    if (!admitted.refused && type == request_type::cursor_open)
      admitted.refused = why_no_cursor(admitted);
    auto db =
      admitted.refused ? caf::expected<database>{refuse(type, request, *admitted.refused)} : find(type, request);
    if (db)
      apply(admitted, broker_.config().of(db->name()), request);
    return db;
  }

  // A request in the name of this process is the owner's; one in the name of an agent is subject to the policy.
  template <class Request> admission admit(request_type type, const Request& request) {
    principal who{request.agent.empty() ? std::string_view{anonymous} : std::string_view{request.agent}};
    who.uid = geteuid();
    who.is_owner = who.agent == anonymous || who.agent == own_name_;
    return broker_.policy().admit(who, {method_access::raw_sql, to_string(type)});
  }

  template <class Request> caf::error refuse(request_type type, const Request& request, const failure& error) const {
    auto refused = unrecorded(type, request.db, request);
    refused.link_agent = anonymous;
    if (error.code == errc::not_authorized)
      refused.reason = error.message;
    broker_.record(refused, to_string(error.code));
    return make_error(error);
  }

  template <class Request> caf::expected<database> find(request_type type, Request& request) {
    {
      std::shared_lock held{mutex_};
      if (const auto* known = databases_.find(request.db))
        return *known;
    }
    auto canonical = broker_.resolve(request.db);
    auto db = !canonical                    ? caf::expected<database>{std::move(canonical.error())}
              : type == request_type::write ? broker_.open_database(*canonical)
                                            : broker_.find_database(*canonical);
    if (db) {
      request.db = db->name();
      std::unique_lock held{mutex_};
      databases_.keep(*db);
      return db;
    }
    return refuse(type, request, describe(db.error()));
  }

  void record(std::string_view method, const nlohmann::json& params, const caf::error& error) const {
    unrecorded_request request;
    request.type = request_type_of(method);
    request.link_agent = anonymous;
    rpc::read_names(params, request);
    broker_.record(request, to_string(code_of(error)));
  }

  template <class Result> static std::future<caf::expected<Result>> failed(caf::error error) {
    std::promise<caf::expected<Result>> answer;
    answer.set_value(std::move(error));
    return answer.get_future();
  }

  static constexpr const char* anonymous = "anonymous";

  broker broker_;
  const std::string own_name_ = fmt::format("{}@{}", user_name(), getpid());
  const cancel_token closed_ = cancel_token::make();
  std::shared_mutex mutex_;
  opened_databases databases_;
  const uint64_t forks_ = fork_count();
  std::mutex methods_mutex_;
  std::unique_ptr<in_process_methods> methods_;
};

} // namespace

std::unique_ptr<client> make_local_client(broker leader) { return std::make_unique<local_client>(std::move(leader)); }

} // namespace sluice
