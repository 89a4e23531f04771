#include "runtime/frontdoor/client/local_client.hpp"

#include "runtime/frontdoor/rpc/codec.hpp"
#include "runtime/json.hpp"
#include "runtime/store_status.hpp"

#include <nlohmann/json.hpp>

namespace sluice {

namespace {

class local_client final : public client {
public:
  explicit local_client(broker leader) : broker_(std::move(leader)) {}

  caf::expected<write_result> write(write_request request) override {
    auto db = broker_.open_database(request.db);
    return db ? db->write(std::move(request)) : std::move(db.error());
  }

  caf::expected<read_result> read(read_request request) override {
    auto db = broker_.open_database(request.db);
    return db ? db->read(std::move(request)) : std::move(db.error());
  }

  std::future<caf::expected<write_result>> write_async(write_request request) override {
    auto db = broker_.open_database(request.db);
    return db ? db->write_async(std::move(request)) : failed<write_result>(std::move(db.error()));
  }

  std::future<caf::expected<read_result>> read_async(read_request request) override {
    auto db = broker_.open_database(request.db);
    return db ? db->read_async(std::move(request)) : failed<read_result>(std::move(db.error()));
  }

  caf::expected<audit_page> audit(const audit_query& query) override { return broker_.audit(query); }

  caf::expected<audit_verdict> verify_audit() override { return broker_.verify_audit(); }

  caf::expected<nlohmann::json> status() override {
    auto x = gather_status(broker_);
    x.in_process = true;
    return as_json(x);
  }

  caf::expected<nlohmann::json> call(std::string_view method, nlohmann::json params) override {
    if (method == "write")
      return answer(rpc::write_from_json(params), [&](auto& x) { return write(std::move(x)); });
    if (method == "read")
      return answer(rpc::read_from_json(params), [&](auto& x) { return read(std::move(x)); });
    if (method == "audit.list")
      return answer(rpc::audit_query_from_json(params), [&](auto& x) { return audit(x); });
    if (method == "audit.verify")
      return in_json(verify_audit());
    if (method == "status")
      return status();
    if (method == "logs.recent")
      return answer(rpc::log_query_from_json(params), [&](auto& x) { return broker_.recent_logs(x); });
    if (method == "log")
      return log(rpc::log_entry_from_json(params));
    if (method == "retry.reset") {
      broker_.reset_retries();
      return nlohmann::json{{"reset", true}};
    }
    if (method == "flush" || method.starts_with("buffer."))
      return buffer(method, params);
    return make_error(errc::route_required, std::string{method} + " needs a broker, and none is running");
  }

private:
  caf::expected<nlohmann::json> buffer(std::string_view method, const nlohmann::json& params) {
    auto to = broker_.buffer();
    auto count = [](const char* done, const caf::expected<uint64_t>& x) {
      return x ? caf::expected<nlohmann::json>{nlohmann::json{{done, *x}}} : caf::expected<nlohmann::json>{x.error()};
    };
    if (method == "flush")
      return answer(rpc::flush_from_json(params), [&](auto& x) { return to.flush(std::move(x)); });
    if (method == "buffer.put")
      return answer(rpc::buffer_put_from_json(params), [&](auto& x) { return to.put(std::move(x)); });
    if (method == "buffer.get")
      return answer(rpc::buffer_get_from_json(params), [&](auto& x) { return to.get(std::move(x)); });
    if (method == "buffer.rejected")
      return answer(rpc::rejected_query_from_json(params), [&](auto& x) { return to.rejected(x); });
    auto ids = rpc::rejected_ids_from_json(params);
    if (!ids)
      return std::move(ids.error());
    if (method == "buffer.requeue")
      return count("requeued", to.requeue(std::move(*ids)));
    if (method == "buffer.discard")
      return count("discarded", to.discard(std::move(*ids)));
    return make_error(errc::invalid_request, "there is no method " + std::string{method});
  }

  caf::expected<nlohmann::json> log(const caf::expected<log_entry>& x) {
    if (!x)
      return x.error();
    broker_.log(x->level, x->source, x->message, x->agent);
    return nlohmann::json{{"logged", true}};
  }

  template <class Result>
  static caf::expected<nlohmann::json> in_json(const caf::expected<Result>& x,
                                               integer_form integers = integer_form::number) {
    return x ? caf::expected<nlohmann::json>{answer_as_json(*x, integers)} : caf::expected<nlohmann::json>{x.error()};
  }

  template <class Request, class Ask>
  static caf::expected<nlohmann::json> answer(caf::expected<Request> request, Ask ask) {
    if (!request)
      return std::move(request.error());
    auto integers = integers_of(*request);
    return in_json(ask(*request), integers);
  }

  template <class Result> static std::future<caf::expected<Result>> failed(caf::error why) {
    std::promise<caf::expected<Result>> answer;
    answer.set_value(std::move(why));
    return answer.get_future();
  }

  broker broker_;
};

} // namespace

std::unique_ptr<client> make_local_client(broker leader) { return std::make_unique<local_client>(std::move(leader)); }

} // namespace sluice
