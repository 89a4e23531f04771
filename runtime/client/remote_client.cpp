#include "runtime/client/remote_client.hpp"

#include "runtime/broker/request_check.hpp"
#include "runtime/broker/system_access.hpp"
#include "runtime/client/async_calls.hpp"
#include "runtime/client/key_maker.hpp"
#include "runtime/client/remote_cursor.hpp"
#include "runtime/os/forks.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/server/rpc/methods.hpp"
#include "runtime/server/rpc/params_text.hpp"
#include "runtime/server/rpc/typed_answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <unistd.h>

namespace sluice {

namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using time_limit = retrying_call::time_limit;

bool has_key(const json& params) {
  auto key = params.is_object() ? params.find("idempotency_key") : params.end();
  return key != params.end() && key->is_string() && !key->get_ref<const std::string&>().empty();
}

// The time that `params` set for the call, if any.
time_limit time_in(const json& params, const char* field, milliseconds otherwise) {
  auto at = params.is_object() ? params.find(field) : params.end();
  if (at == params.end() || !at->is_number_integer())
    return {field, otherwise, false};
  constexpr int64_t day_ms = 86'400'000;
  return {field, milliseconds{std::clamp(at->get<int64_t>(), int64_t{1}, day_ms)}, true};
}

milliseconds& time_of(write_request& request) { return request.deadline; }
milliseconds& time_of(read_request& request) { return request.limits.timeout; }

caf::expected<write_result> ask(client& leader, write_request request) { return leader.write(std::move(request)); }
caf::expected<read_result> ask(client& leader, read_request request) { return leader.read(std::move(request)); }

void decode(const json& answer, caf::expected<write_result>& to) { to = rpc::write_result_from_json(answer); }
void decode(const json& answer, caf::expected<read_result>& to) { to = rpc::read_result_from_json(answer); }
void decode(const json& answer, caf::expected<cursor_page>& to) { to = rpc::cursor_page_from_json(answer); }
void decode(const json& answer, caf::expected<audit_page>& to) { to = rpc::audit_page_from_json(answer); }
void decode(const json& answer, caf::expected<audit_verdict>& to) { to = rpc::audit_verdict_from_json(answer); }

template <class Result> caf::expected<Result> decoded(caf::expected<json> answer) {
  if (!answer)
    return std::move(answer.error());
  caf::expected<Result> result{caf::error{}};
  decode(*answer, result);
  return result;
}

// Calls the leader in this process within the rest of the time.
template <class Result, class Request>
caf::expected<Result> ask_local(client& leader, const retrying_call& op, Request request) {
  if (time_of(request) != milliseconds{0})
    time_of(request) = op.left();
  caf::expected<Result> result = ask(leader, std::move(request));
  return result ? std::move(result) : op.amend(std::move(result.error()));
}

template <class Request, class Result> class typed_call final : public async_call {
public:
  typed_call(retrying_call operation, Request request)
    : async_call(std::move(operation)), request_(std::move(request)) {
    cancel = request_.cancel;
    request_id = request_.request_id;
  }

  std::future<caf::expected<Result>> future() { return answer_.get_future(); }

  void finish(caf::expected<json> answer) override { answer_.set_value(decoded<Result>(std::move(answer))); }

  void finish_with(client& leader) override { answer_.set_value(ask_local<Result>(leader, op, std::move(request_))); }

private:
  Request request_;
  std::promise<caf::expected<Result>> answer_;
};

// A call of any method; its answer is null when this process leads by now.
class cancellable_call final : public async_call {
public:
  cancellable_call(retrying_call operation, cancel_token given_up, std::string id) : async_call(std::move(operation)) {
    cancel = std::move(given_up);
    request_id = std::move(id);
  }

  std::future<caf::expected<json>> future() { return answer_.get_future(); }

  void finish(caf::expected<json> answer) override { answer_.set_value(std::move(answer)); }
  void finish_with(client&) override { answer_.set_value(json{}); }

private:
  std::promise<caf::expected<json>> answer_;
};

// Values that would not reach the leader unchanged.
std::optional<failure> check_parameters(const write_request& request) {
  for (size_t i = 0; i < request.statements.size(); ++i)
    if (!request.statements[i].params.named.empty())
      if (auto error = check_as_json(request.statements[i].params, fmt::format("statements[{}].params", i)))
        return error;
  return std::nullopt;
}

std::optional<failure> check_parameters(const read_request& request) {
  if (auto error = check_as_json(request.query.params, "params"))
    return error;
  for (const auto& next : request.more)
    if (auto error = check_as_json(next.params, "params"))
      return error;
  return std::nullopt;
}

class remote_client final : public client {
public:
  remote_client(election_options options, descriptor connection, leader_link::lead_function lead,
                remote_settings settings)
    : settings_(std::move(settings)),
      link_(std::move(options), std::move(connection), std::move(lead), settings_.silence), calls_(link_) {}

  // With a static client, threads of the host may be in a call when the program ends. A forked child does not have
  // these threads.
  ~remote_client() override {
    if (forks_ != fork_count())
      return;
    link_.stop();
    waiting_.close();
  }

  caf::expected<write_result> write(write_request request) override {
    if (request.cancel.possible())
      return write_async(std::move(request)).get();
    if (auto error = check_parameters(request))
      return make_error(std::move(*error));
    add_key(request);
    auto op = operation_of(request);
    return ask_quickly_for<write_result>(
      op, [&](client& local) { return ask_local<write_result>(local, op, std::move(request)); });
  }

  caf::expected<read_result> read(read_request request) override {
    if (request.cancel.possible())
      return read_async(std::move(request)).get();
    if (auto error = check_parameters(request))
      return make_error(std::move(*error));
    auto op = operation_of(request);
    return ask_quickly_for<read_result>(
      op, [&](client& local) { return ask_local<read_result>(local, op, std::move(request)); });
  }

  std::future<caf::expected<write_result>> write_async(write_request request) override {
    add_key(request);
    if (auto local = link_.local_leader())
      return local->write_async(std::move(request));
    return start<write_result>(std::move(request));
  }

  std::future<caf::expected<read_result>> read_async(read_request request) override {
    if (auto local = link_.local_leader())
      return local->read_async(std::move(request));
    return start<read_result>(std::move(request));
  }

  caf::expected<std::unique_ptr<cursor>> open_cursor(read_request request) override {
    if (auto error = check_parameters(request))
      return make_error(std::move(*error));
    name_cancellable(request);
    auto time = limit_of("timeout_ms", request.limits.timeout, settings_.read_timeout);
    retrying_call op{"cursor.open", rpc::params_of_open_cursor(request), time, false, true};
    auto opened = run(op, request.cancel, request.request_id);
    if (opened.local)
      return opened.local->open_cursor(std::move(request));
    auto first = decoded<cursor_page>(std::move(opened.answer));
    if (!first)
      return std::move(first.error());
    auto ask = [this, length = time.length, cancel = request.cancel, name = request.request_id](const char* method,
                                                                                                uint64_t id) {
      // A cancelled cursor is closed, too.
      auto ends = std::string_view{method} == "cursor.close";
      auto page =
        run({method, {{"cursor", id}}, {nullptr, length}, false, false}, ends ? cancel_token{} : cancel, name);
      return page.local ? caf::expected<json>{cursor_lost()} : std::move(page.answer);
    };
    return std::unique_ptr<cursor>{std::make_unique<remote_cursor>(ask, std::move(*first), request.cancel)};
  }

  caf::expected<audit_page> audit(const audit_query& query) override {
    retrying_call op{"audit.list", rpc::params_of(query), {nullptr, settings_.write_deadline}, false, true};
    return ask_for<audit_page>(op, [&](client& local) { return local.audit(query); });
  }

  caf::expected<audit_verdict> verify_audit() override {
    retrying_call op{"audit.verify", json::object(), {nullptr, settings_.verify_timeout}, false, true};
    return ask_for<audit_verdict>(op, [](client& local) { return local.verify_audit(); });
  }

  caf::expected<json> status() override {
    retrying_call op{"status", json::object(), {nullptr, settings_.write_deadline}, false, true};
    auto end = run(op);
    return end.local ? end.local->status() : std::move(end.answer);
  }

  caf::expected<json> call(std::string_view method, json params) override {
    // The leader refuses an empty key, which may be a mistake of the caller.
    auto takes_key = method == "write" || method == "call";
    if (takes_key && settings_.add_keys && params.is_object() && !params.contains("idempotency_key"))
      params["idempotency_key"] = keys_.next();
    // The leader refuses unknown methods.
    static constexpr rpc::method unknown{.effect = rpc::method_effect::changes};
    const auto* found = rpc::find_method(method);
    const auto& known = found ? *found : unknown;
    auto repeatable = known.effect == rpc::method_effect::none || has_key(params);
    auto changes = known.effect == rpc::method_effect::changes;
    auto time = time_of_call(known, params);
    retrying_call op{std::string{method}, params, time, changes, repeatable};
    auto end = run(op);
    return end.local ? end.local->call(method, std::move(params)) : std::move(end.answer);
  }

  void close() override {
    link_.stop();
    if (auto local = link_.local_leader())
      local->close();
  }

private:
  // The answer, or nothing if this process leads by now.
  struct end {
    caf::expected<json> answer;
    std::shared_ptr<client> local;
  };

  // The leader finds the request to cancel by its id.
  template <class Request> void name_cancellable(Request& request) {
    if (request.cancel.possible() && request.request_id.empty())
      request.request_id = keys_.next();
  }

  void add_key(write_request& request) {
    if (settings_.add_keys && request.idempotency_key.empty())
      request.idempotency_key = keys_.next();
  }

  time_limit time_of_call(const rpc::method& method, const json& params) const {
    auto otherwise = method.wait == rpc::method_wait::read_timeout ? settings_.read_timeout
                     : method.wait == rpc::method_wait::long_work  ? settings_.verify_timeout
                                                                   : settings_.write_deadline;
    if (method.time_parameter.empty())
      return {nullptr, otherwise};
    auto time = time_in(params, method.time_parameter.data(), otherwise);
    // Its caller allows it to wait for room, so it may take as long as any other.
    if (method.time_parameter == "wait_ms")
      return {nullptr, otherwise + (time.given ? time.length : milliseconds{0})};
    return time;
  }

  static time_limit limit_of(const char* field, milliseconds wanted, milliseconds otherwise) {
    auto given = wanted > milliseconds{0};
    return {field, given ? wanted : otherwise, given};
  }

  retrying_call operation_of(const write_request& request) const {
    auto time = limit_of("deadline_ms", request.deadline, settings_.write_deadline);
    auto op = operation_of("write", request, time, true, !request.idempotency_key.empty());
    if (settings_.continues_write)
      op.continue_from_elsewhere();
    return op;
  }

  retrying_call operation_of(const read_request& request) const {
    auto time = limit_of("timeout_ms", request.limits.timeout, settings_.read_timeout);
    return operation_of("read", request, time, false, true);
  }

  template <class Request>
  static retrying_call operation_of(const char* method, const Request& request, const time_limit& time, bool changes,
                                    bool repeatable) {
    if (auto text = rpc::text_of_params(request))
      return {method, std::move(*text), time, changes, repeatable};
    return {method, rpc::params_of(request), time, changes, repeatable};
  }

  template <class Result, class Ask> caf::expected<Result> ask_for(retrying_call& op, Ask ask_local_leader) {
    auto end = run(op);
    return end.local ? ask_local_leader(*end.local) : decoded<Result>(std::move(end.answer));
  }

  // The same for the most frequent requests.
  template <class Result, class Ask> caf::expected<Result> ask_quickly_for(retrying_call& op, Ask ask_local_leader) {
    std::optional<Result> result;
    auto end = run(op, [&](std::string_view line) {
      if (!answers_.read(line, result.emplace()))
        result.reset();
      return result.has_value();
    });
    if (result)
      return std::move(*result);
    return end.local ? ask_local_leader(*end.local) : decoded<Result>(std::move(end.answer));
  }

  template <class Result, class Request> std::future<caf::expected<Result>> start(Request request) {
    name_cancellable(request);
    auto wrong = check_parameters(request);
    auto op = operation_of(request);
    auto call = std::make_unique<typed_call<Request, Result>>(std::move(op), std::move(request));
    auto result = call->future();
    if (wrong)
      call->finish(make_error(std::move(*wrong)));
    else if (call->op.refusal())
      call->finish(*call->op.refusal());
    else if (call->cancel.cancelled())
      call->finish(call->op.cancelled(false, "the request was cancelled before it was sent"));
    else
      calls_.start(std::move(call));
    return result;
  }

  // The thread of calls with a future polls the token of a call that can be cancelled.
  end run(retrying_call op, const cancel_token& cancel, const std::string& id) {
    if (!cancel.possible() || op.refusal())
      return run(op);
    system_access::use in{waiting_};
    if (!in || cancel.cancelled())
      return {op.cancelled(false, "the request was cancelled before it was sent"), nullptr};
    auto call = std::make_unique<cancellable_call>(std::move(op), cancel, id);
    auto answer = call->future();
    if (auto local = link_.local_leader())
      return {caf::error{}, std::move(local)};
    calls_.start(std::move(call));
    auto result = answer.get();
    if (result && result->is_null())
      return {caf::error{}, link_.local_leader()};
    return {std::move(result), nullptr};
  }

  // @param take parses the line of an answer; false if it must be judged
  end run(retrying_call& op, const std::function<bool(std::string_view)>& take = {}) {
    if (op.refusal())
      return {*op.refusal(), nullptr};
    system_access::use in{waiting_};
    if (!in)
      return {op.cancelled(false), nullptr};
    channel::call tried;
    for (;;) {
      if (link_.stopped())
        return {op.cancelled(tried.sent), nullptr};
      auto leader = link_.get(op.limit());
      if (leader && leader->local)
        return {caf::error{}, std::move(leader->local)};
      if (!leader) {
        if (auto error = op.judge_blocked(describe(leader.error())))
          return {std::move(*error), nullptr};
      } else {
        leader->connection->ask(tried, op.method(), op.params(), op.limit());
        if (take && tried.state == channel::call_state::answered && take(tried.answer))
          return {caf::error{}, nullptr};
        if (auto answer = op.judge(tried, *leader->connection))
          return {std::move(*answer), nullptr};
      }
      if (op.pause() > milliseconds{0})
        std::this_thread::sleep_for(op.pause());
    }
  }

  remote_settings settings_;
  key_maker keys_;
  rpc::answer_reader answers_;
  leader_link link_;
  async_calls calls_;
  // Threads that wait for an answer.
  system_access waiting_;
  const uint64_t forks_ = fork_count();
};

} // namespace

std::unique_ptr<client> make_remote_client(election_options options, descriptor connection,
                                           leader_link::lead_function lead, remote_settings settings) {
  return std::make_unique<remote_client>(std::move(options), std::move(connection), std::move(lead),
                                         std::move(settings));
}

} // namespace sluice
