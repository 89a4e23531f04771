#pragma once

#include "actors/base/name_rules.hpp"
#include "runtime/json/json.hpp"
#include "runtime/server/broker_handler.hpp"
#include "runtime/server/rpc/failures.hpp"
#include "runtime/server/rpc/request_names.hpp"

#include <chrono>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

/// For the files of `broker_handler` alone: one call under way.
namespace sluice {

/// The code with which a call ended.
inline std::string_view word_of(const rpc::answer& x) {
  if (!x.error)
    return "ok";
  const auto& data = x.error->data;
  auto code = data.find("code");
  if (code == data.end())
    return "invalid_request";
  // Not a conditional expression, which would make a string of its own.
  return code->get_ref<const std::string&>();
}

/// About as many bytes as the result takes in JSON.
inline size_t size_of(const read_result& x) { return x.rows ? x.rows->footprint() : 0; }

inline size_t size_of(const cursor_page& x) { return x.rows ? x.rows->footprint() : 0; }

inline size_t size_of(const write_result& x) {
  size_t total = 0;
  for (const auto& each : x.results)
    total += each.rows.footprint();
  return total;
}

inline size_t size_of(const audit_page& x) { return x.records.size() * 512; }

inline size_t size_of(const log_page& x) {
  size_t total = 0;
  for (const auto& each : x.entries)
    total += 128 + each.source.size() + each.agent.size() + each.message.size();
  return total;
}

inline size_t size_of(const rejected_page& x) {
  size_t total = 0;
  for (const auto& each : x.rows)
    total += 256 + each.message.size() + footprint(each.operation.row.columns) + footprint(each.operation.values);
  return total;
}

struct broker_handler::pending {
  using steady = std::chrono::steady_clock;

  service& owner;
  std::weak_ptr<broker_handler> handler;
  std::shared_ptr<const client_link> link;
  const rpc::method& what;
  rpc::answer_to done;
  /// Agent, database and ids of the call, for the audit; from `params`, while those exist, if not set.
  unrecorded_request names{};
  const nlohmann::json* params = nullptr;
  /// Whether others have seen to the audit.
  bool recorded = false;
  /// Whether no client waits for the answer.
  bool is_notification = false;
  /// Whether the text of the result is wanted in quotes, too.
  bool quotes_text = false;
  std::string agent{};
  steady::time_point start = steady::now();
  // How the request wants integers.
  integer_form integers = integer_form::number;
  // Where it can be cancelled, until it has been answered.
  std::optional<requests_under_way::entry> under_way{};

  // Bytes that are written out by another thread than the loop's.
  static constexpr size_t large_result = 32 * 1024;

  // Registers it for `cancel`, and so that it ends with its client. A second call has no effect.
  template <class Request> static void put_under_way(const std::shared_ptr<pending>& self, Request& x) {
    if (self->under_way)
      return;
    if (x.request_id.empty())
      x.request_id = self->owner.ids_.next();
    auto handler = self->handler.lock();
    auto ends_with_client = handler && !(self->is_notification && std::is_same_v<Request, write_request>);
    x.cancel = ends_with_client ? handler->left_.derive() : cancel_token::make();
    self->under_way = self->owner.under_way_.add({x.request_id, {x.agent, x.peer, self->handler}, x.cancel});
  }

  // Nothing is opened or asked for a client that has gone, or for a request that was cancelled at once.
  template <class Request> static bool refuse_cancelled(const std::shared_ptr<pending>& self, const Request& x) {
    if (!x.cancel.cancelled())
      return false;
    self->refuse(x, make_error(errc::cancelled, "the request was cancelled before it began"));
    return true;
  }

  void answer(rpc::answer x) {
    if (under_way)
      owner.under_way_.remove(*std::exchange(under_way, std::nullopt));
    auto now = steady::now();
    auto code = word_of(x);
    owner.metrics_.observe(what.name, code, now - start);
    owner.traffic_.answered(what.name, agent, x.error.has_value(), now - start, now);
    if (!recorded && (x.error || what.audited == rpc::method_audit::all))
      enter(code);
    if (!handler.expired())
      done(std::move(x));
  }

  void succeed(nlohmann::json result) { answer({std::move(result), std::nullopt, {}}); }

  static void succeed(const std::shared_ptr<pending>& self, const audit_verdict& verdict) {
    self->succeed(as_json(verdict));
  }

  // Writing out a large result takes milliseconds, in which the loop could serve other clients.
  template <class Result> static void succeed(const std::shared_ptr<pending>& self, const Result& result) {
    if (size_of(result) < large_result)
      return self->succeed(answer_as_json(result, self->integers));
    self->owner.in_background(
      self->owner.rendering_,
      [result, integers = self->integers, quotes = self->quotes_text]() -> caf::expected<rpc::answer> {
        try {
          rpc::answer x;
          x.text = answer_as_text(result, integers);
          if (quotes)
            x.quoted = dump(nlohmann::json(x.text));
          return x;
        } catch (const std::bad_alloc&) {
          return make_error(errc::unavailable,
                            "there is not enough memory to write this answer out; ask for fewer rows");
        }
      },
      [self](caf::expected<rpc::answer> x) {
        if (!x)
          return self->fail(x.error());
        self->answer(std::move(*x));
      });
  }

  // Sends an actor a question that may take long, in its turn, unless the client has gone by then. `whom` returns the
  // actor, which may have been restarted meanwhile.
  template <class Result, class Whom, class Question>
  static void ask_in_turn(const std::shared_ptr<pending>& self, const Whom& whom, const Question& question) {
    self->owner.lookups_.take(
      [handler = self->handler] { return !handler.expired(); },
      [self, whom, question](const std::function<void()>& ended) {
        auto succeeded = [self, ended](const Result& x) {
          succeed(self, x);
          ended();
        };
        auto failed = [self, ended](const caf::error& why) {
          self->fail(why);
          ended();
        };
        auto& from = self->owner;
        from.actor_.request(whom(from.leader_.actors()), caf::infinite, question).then(succeeded, failed);
      });
  }

  void fail(const failure& why) {
    auto error = rpc::error_of(why);
    if (why.code == errc::unavailable && owner.draining_)
      error.data["draining"] = true;
    answer({nullptr, std::move(error), {}});
  }
  void fail(const caf::error& why) { fail(describe(why)); }

  // Refuses a request that was read, but reached no actor that records it.
  template <class Request> void refuse(const Request& x, const caf::error& why) {
    names.agent = x.agent;
    names.db = x.db;
    names.request_id = x.request_id;
    names.correlation_id = x.correlation_id;
    auto own = describe(why);
    own.request_id = x.request_id;
    fail(own);
  }

  // Sets agent and process of the request. False if they are not allowed; the call is answered then.
  template <class Request> bool sign(Request& x) {
    x.peer = link->peer;
    integers = integers_of(x);
    return sign(x.agent);
  }

  bool sign(std::string& name) {
    if (name.empty())
      name = link->agent;
    else if (auto why = why_no_agent(name)) {
      fail(make_error(errc::invalid_request, "agent " + *why));
      return false;
    }
    agent = name;
    return true;
  }

private:
  void enter(std::string_view status) {
    names.type = what.type;
    names.link_agent = link->agent;
    names.peer = link->peer;
    if (params)
      rpc::read_names(*params, names);
    owner.leader_.record(names, status);
  }
};

// A read that waits until others of its connection have been answered.
struct broker_handler::waiting_read {
  database db;
  read_request request;
  call_ptr call;
  pending::steady::time_point end;
};

} // namespace sluice
