#include "runtime/client/local_client.hpp"

#include "actors/base/names.hpp"
#include "actors/base/utf8_text.hpp"
#include "runtime/broker/store_status.hpp"
#include "runtime/json/json.hpp"
#include "runtime/json/json_text.hpp"
#include "runtime/server/opened_databases.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/server/rpc/failures.hpp"
#include "runtime/server/rpc/request_names.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <iterator>
#include <mutex>
#include <shared_mutex>

namespace sluice {

namespace {

// What could not be sent to a broker is refused here, too, so that it makes no difference who leads.
caf::error why_not_sendable(std::string_view method, const nlohmann::json& params) {
  return is_utf8(method) ? why_not_utf8(params) : make_error(errc::invalid_request, "method is not valid UTF-8");
}

class local_client final : public client {
public:
  explicit local_client(broker leader) : broker_(std::move(leader)) {}

  caf::expected<write_result> write(write_request request) override {
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
    auto x = gather_status(broker_, std::move(running));
    x.in_process = true;
    return as_json(x);
  }

  caf::expected<nlohmann::json> call(std::string_view method, nlohmann::json params) override {
    asked_call x{method, params};
    if (auto why = why_not_sendable(method, params))
      return refuse(x, std::move(why));
    if (method == "write")
      return answer(x, rpc::write_from_json(params), [&](auto& request) { return write(std::move(request)); });
    if (method == "read")
      return answer(x, rpc::read_from_json(params), [&](auto& request) { return read(std::move(request)); });
    if (method == "audit.list")
      return answer(x, rpc::audit_query_from_json(params), [&](auto& query) { return audit(query); });
    if (method == "audit.verify")
      return in_json(verify_audit());
    if (method == "status")
      return status();
    if (method == "logs.recent")
      return answer(x, rpc::log_query_from_json(params), [&](auto& query) { return broker_.recent_logs(query); });
    if (method == "log")
      return log(x, rpc::log_entry_from_json(params));
    if (method == "retry.reset") {
      broker_.reset_retries();
      record(x, "ok");
      return nlohmann::json{{"reset", true}};
    }
    if (method == "audit.refused")
      return note_refused(x, rpc::refused_from_json(params));
    if (method == "flush" || method.starts_with("buffer."))
      return buffer(x);
    if (request_type_of(method) == request_type::other)
      return refuse(x, make_error(errc::invalid_request, rpc::unknown_method(method).message));
    return refuse(x, make_error(errc::route_required, std::string{method} + " needs a broker, and none is running"));
  }

  void close() override { closed_.cancel(); }

private:
  template <class Request> void end_when_closed(Request& x) const {
    x.cancel = x.cancel.possible() ? closed_.derive(x.cancel) : closed_;
  }

  struct asked_call {
    std::string_view method;
    const nlohmann::json& params;
  };

  // Refuses what no database and no buffer gets to see, and so would not be on record.
  template <class Request> caf::expected<database> open(request_type type, Request& request) {
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
    unrecorded_request x;
    x.type = type;
    x.agent = request.agent;
    x.link_agent = "anonymous";
    x.db = request.db;
    x.request_id = request.request_id;
    x.correlation_id = request.correlation_id;
    broker_.record(x, to_string(code_of(db.error())));
    return db;
  }

  void record(const asked_call& x, std::string_view status) const {
    unrecorded_request names;
    names.type = request_type_of(x.method);
    names.link_agent = "anonymous";
    rpc::read_names(x.params, names);
    broker_.record(names, status);
  }

  caf::error refuse(const asked_call& x, caf::error why) const {
    record(x, to_string(code_of(why)));
    return why;
  }

  caf::expected<nlohmann::json> buffer(const asked_call& x) {
    auto to = broker_.buffer();
    const auto& params = x.params;
    if (x.method == "flush")
      return answer(x, rpc::flush_from_json(params), [&](auto& request) { return to.flush(std::move(request)); });
    if (x.method == "buffer.put")
      return answer(x, rpc::buffer_put_from_json(params), [&](auto& request) { return to.put(std::move(request)); });
    if (x.method == "buffer.get")
      return answer(x, rpc::buffer_get_from_json(params), [&](auto& request) { return to.get(std::move(request)); });
    if (x.method == "buffer.rejected")
      return answer(x, rpc::rejected_query_from_json(params), [&](auto& query) { return to.rejected(query); });
    auto requeues = x.method == "buffer.requeue";
    if (!requeues && x.method != "buffer.discard")
      return refuse(x, make_error(errc::invalid_request, rpc::unknown_method(x.method).message));
    auto ids = rpc::rejected_ids_from_json(params);
    if (!ids)
      return refuse(x, std::move(ids.error()));
    unrecorded_request names;
    rpc::read_names(params, names);
    auto count = requeues ? to.requeue(std::move(*ids), names.agent) : to.discard(std::move(*ids), names.agent);
    if (!count)
      return std::move(count.error());
    return nlohmann::json{{requeues ? "requeued" : "discarded", *count}};
  }

  caf::expected<nlohmann::json> log(const asked_call& asked, const caf::expected<log_entry>& x) {
    if (!x)
      return refuse(asked, x.error());
    if (auto why = why_no_agent(x->agent))
      return refuse(asked, make_error(errc::invalid_request, "agent " + *why));
    broker_.log(x->level, x->source, x->message, x->agent);
    return nlohmann::json{{"logged", true}};
  }

  caf::expected<nlohmann::json> note_refused(const asked_call& asked,
                                             const caf::expected<std::pair<unrecorded_request, std::string>>& x) {
    if (!x)
      return refuse(asked, x.error());
    broker_.record(x->first, x->second);
    return nlohmann::json{{"recorded", true}};
  }

  template <class Result>
  static caf::expected<nlohmann::json> in_json(const caf::expected<Result>& x,
                                               integer_form integers = integer_form::number) {
    return x ? caf::expected<nlohmann::json>{answer_as_json(*x, integers)} : caf::expected<nlohmann::json>{x.error()};
  }

  template <class Request, class Ask>
  caf::expected<nlohmann::json> answer(const asked_call& x, caf::expected<Request> request, Ask ask) {
    if (!request)
      return refuse(x, std::move(request.error()));
    auto integers = integers_of(*request);
    return in_json(ask(*request), integers);
  }

  template <class Result> static std::future<caf::expected<Result>> failed(caf::error why) {
    std::promise<caf::expected<Result>> answer;
    answer.set_value(std::move(why));
    return answer.get_future();
  }

  broker broker_;
  const cancel_token closed_ = cancel_token::make();
  std::shared_mutex mutex_;
  opened_databases databases_;
};

} // namespace

std::unique_ptr<client> make_local_client(broker leader) { return std::make_unique<local_client>(std::move(leader)); }

} // namespace sluice
