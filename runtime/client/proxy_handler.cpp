#include "runtime/client/proxy_handler.hpp"

#include "runtime/json/json.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/server/rpc/failures.hpp"
#include "runtime/server/rpc/methods.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace sluice {

namespace {

using nlohmann::json;

rpc::answer error_answer(const caf::error& error) {
  rpc::answer response;
  response.error = rpc::error_of(describe(error));
  return response;
}

// The form of results. The waiting thread writes them as text, which takes time in which the loop serves others.
struct result_form {
  integer_form integers = integer_form::number;
  bool quoted = false;
};

rpc::answer written(const json& result, result_form form) {
  rpc::answer response;
  response.text = dump(result);
  if (form.quoted)
    response.quoted = dump(json(response.text));
  return response;
}

// Makes a copyable function from a future, which cannot be copied.
template <class Result> auto result_of(std::future<caf::expected<Result>> answer, result_form form) {
  return [future = std::make_shared<std::future<caf::expected<Result>>>(std::move(answer)), form] {
    auto result = future->get();
    return result ? written(as_json(*result, form.integers), form) : error_answer(result.error());
  };
}

} // namespace

caf::error proxy_handler::limit(const rpc::method& method, json& params) const {
  if (rights_.read_only && method.access != method_access::operation && method.data == rpc::method_data::changes)
    return make_error(errc::read_only,
                      fmt::format("{} changes something, and this server serves reads only", method.name));
  if (params.is_null())
    params = json::object();
  // The method refuses other parameters.
  if (!params.is_object())
    return {};
  // The leader knows which operations write.
  if (rights_.read_only && method.access == method_access::operation)
    params["read_only"] = true;
  if (rights_.agent.empty())
    return {};
  // The leader would take it for the owner's.
  auto sender = rpc::sender_parameter(method);
  if (sender.empty())
    return method.access == method_access::anyone && method.type != request_type::audit_refused
             ? caf::error{}
             : make_error(errc::not_authorized,
                          fmt::format("{} is not for the agent '{}', for whom this server was started", method.name,
                                      rights_.agent));
  if (auto given = params.find(sender); given != params.end() && *given != rights_.agent)
    return make_error(
      errc::not_authorized,
      fmt::format("this server was started for the agent '{}' alone; leave {} out", rights_.agent, sender));
  params[std::string{sender}] = rights_.agent;
  return {};
}

template <class Wait>
void proxy_handler::answer_later(boost::asio::thread_pool& where, Wait wait, rpc::answer_to done) {
  namespace asio = boost::asio;
  asio::post(where,
             [this, wait = std::move(wait), done = std::move(done), busy = asio::make_work_guard(loop_)]() mutable {
               asio::post(loop_, [result = wait(), done = std::move(done), busy = std::move(busy)]() mutable {
                 done(std::move(result));
               });
             });
}

void proxy_handler::call(const std::string& method, json params, rpc::answer_to done) {
  const auto* known = rpc::find_method(method);
  if (!known)
    return refuse(method, params, rpc::unknown_method(method), done);
  if (known->needs_connection)
    return refuse(method, params,
                  make_error(errc::invalid_request, method + " is for connections to the socket itself"), done);
  if (auto error = limit(*known, params))
    return refuse(method, params, error, done);
  // The client library would replace an invalid deadline by its own.
  if (method == "write") {
    auto request = rpc::write_from_json(params);
    if (!request)
      return refuse(method, params, request.error(), done);
    result_form form{request->integers, quotes_texts_};
    return answer_later(waiting_, result_of(to_.write_async(std::move(*request)), form), std::move(done));
  }
  if (method == "read") {
    auto request = rpc::read_from_json(params);
    if (!request)
      return refuse(method, params, request.error(), done);
    result_form form{request->integers, quotes_texts_};
    return answer_later(waiting_, result_of(to_.read_async(std::move(*request)), form), std::move(done));
  }
  if (params.is_null())
    params = json::object();
  // The leader refuses invalid ones of these, and records them.
  auto ask = [this, method, params = std::move(params), quoted = quotes_texts_] {
    auto result = to_.call(method, params);
    return result ? written(*result, {integer_form::number, quoted}) : error_answer(result.error());
  };
  answer_later(control_, std::move(ask), std::move(done));
}

void proxy_handler::refuse(const std::string& method, const json& params, const caf::error& error,
                           const rpc::answer_to& done) {
  refuse(method, params, rpc::error_of(describe(error)), done);
}

void proxy_handler::refuse(const std::string& method, const json& params, rpc::error error,
                           const rpc::answer_to& done) {
  note_refusal(method, params, error);
  done({nullptr, std::move(error), {}});
}

// The bridge reports its refusals to the leader. What comes faster than reports can be sent, for long, is counted.
void proxy_handler::note_refusal(std::string_view method, const json& params, const rpc::error& error) {
  const auto* known = rpc::find_method(method);
  auto status = error.data.value("code", "invalid_request");
  if (reports_.size() >= max_reports) {
    ++counted_[{known ? std::string{known->name} : std::string{}, std::move(status)}];
    return;
  }
  json report{{"status", status}};
  if (known)
    report["method"] = known->name;
  if (status == to_string(errc::not_authorized))
    report["reason"] = error.message;
  if (params.is_object())
    for (const auto* name : {"agent", "db", "request_id", "correlation_id"})
      if (auto at = params.find(name); at != params.end() && at->is_string())
        report[name] = *at;
  // Whatever name was asked for.
  if (!rights_.agent.empty())
    report["agent"] = rights_.agent;
  reports_.push_back(std::move(report));
  send_reports();
}

void proxy_handler::send_reports() {
  for (auto at = counted_.begin(); reports_.empty() && at != counted_.end();) {
    auto count = std::min(at->second, rpc::most_reported_refusals);
    json report{{"status", at->first.second}, {"count", count}};
    if (!at->first.first.empty())
      report["method"] = at->first.first;
    if (!rights_.agent.empty())
      report["agent"] = rights_.agent;
    reports_.push_back(std::move(report));
    at->second -= count;
    at = at->second == 0 ? counted_.erase(at) : at;
  }
  while (sending_ < max_sending && !reports_.empty()) {
    ++sending_;
    auto send = [this, report = std::move(reports_.front())] {
      auto sent = to_.call("audit.refused", report);
      return sent ? rpc::answer{} : error_answer(sent.error());
    };
    reports_.pop_front();
    answer_later(control_, std::move(send), [this](const rpc::answer& sent) {
      --sending_;
      // Without a leader, each of them would be waited for until its deadline.
      if (sent.error && sent.error->data.value("code", "") == to_string(errc::unavailable)) {
        reports_.clear();
        counted_.clear();
      }
      send_reports();
    });
  }
}

} // namespace sluice
