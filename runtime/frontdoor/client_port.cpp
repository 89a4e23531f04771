#include "runtime/frontdoor/client_port.hpp"

#include "runtime/frontdoor/rpc/codec.hpp"
#include "runtime/frontdoor/rpc/failures.hpp"
#include "runtime/frontdoor/service_port.hpp"
#include "runtime/json.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

namespace sluice {

namespace {

using nlohmann::json;

rpc::answer refusal(const caf::error& why) { return {nullptr, rpc::error_of(describe(why)), {}}; }

template <class Result> caf::expected<json> in_json(caf::expected<Result> x, integer_form integers) {
  return x ? caf::expected<json>{as_json(*x, integers)} : std::move(x.error());
}

// Makes a function that can be copied from a future that cannot.
template <class Result> auto result_of(std::future<caf::expected<Result>> x, integer_form integers) {
  return [future = std::make_shared<std::future<caf::expected<Result>>>(std::move(x)), integers] {
    return in_json(future->get(), integers);
  };
}

} // namespace

template <class Wait> void client_port::answer_later(Wait wait, rpc::answer_to done) {
  namespace asio = boost::asio;
  asio::post(waiting_,
             [this, wait = std::move(wait), done = std::move(done), busy = asio::make_work_guard(loop_)]() mutable {
               asio::post(loop_, [result = wait(), done = std::move(done), busy = std::move(busy)]() mutable {
                 done(result ? rpc::answer{std::move(*result)} : refusal(result.error()));
               });
             });
}

void client_port::call(const std::string& method, json params, rpc::answer_to done) {
  if (!service_port::knows(method))
    return done({nullptr, rpc::unknown_method(method), {}});
  if (method == "subscribe" || method == "unsubscribe" || method == "hello")
    return done(refusal(make_error(errc::invalid_request, method + " is for connections to the socket itself")));
  if (method == "write") {
    auto request = rpc::write_from_json(params);
    if (!request)
      return done(refusal(request.error()));
    auto integers = request->integers;
    return answer_later(result_of(to_.write_async(std::move(*request)), integers), std::move(done));
  }
  if (method == "read") {
    auto request = rpc::read_from_json(params);
    if (!request)
      return done(refusal(request.error()));
    auto integers = request->integers;
    return answer_later(result_of(to_.read_async(std::move(*request)), integers), std::move(done));
  }
  if (params.is_null())
    params = json::object();
  answer_later([this, method, params = std::move(params)] { return to_.call(method, params); }, std::move(done));
}

} // namespace sluice
