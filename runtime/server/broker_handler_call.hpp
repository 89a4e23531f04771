#pragma once

#include "actors/base/name_rules.hpp"
#include "runtime/broker/admission_limits.hpp"
#include "runtime/catalogue/catalogue.hpp"
#include "runtime/catalogue/operation_answer.hpp"
#include "runtime/catalogue/operation_failure.hpp"
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

/// Only for the files of `broker_handler`: one call under way.
namespace sluice {

/// The name of the code with which a call ended, or `ok`.
inline std::string_view code_name_of(const rpc::answer& response) {
  if (!response.error)
    return "ok";
  const auto& data = response.error->data;
  auto code = data.find("code");
  if (code == data.end())
    return "invalid_request";
  // Not a conditional expression, which would copy the string.
  return code->get_ref<const std::string&>();
}

/// The approximate number of bytes of the result in JSON.
inline size_t size_of(const read_result& result) { return footprint(result); }

inline size_t size_of(const cursor_page& page) { return page.rows ? page.rows->footprint() : 0; }

inline size_t size_of(const write_result& result) {
  size_t total = 0;
  for (const auto& each : result.results)
    total += each.rows.footprint();
  return total;
}

inline size_t size_of(const audit_page& page) { return page.records.size() * 512; }

inline size_t size_of(const log_page& page) {
  size_t total = 0;
  for (const auto& each : page.entries)
    total += 128 + each.source.size() + each.agent.size() + each.message.size();
  return total;
}

inline size_t size_of(const rejected_page& page) {
  size_t total = 0;
  for (const auto& each : page.rows)
    total += 256 + each.message.size() + footprint(each.operation.row.columns) + footprint(each.operation.values);
  return total;
}

/// Whether calls of this method are about a capsule or a proof.
constexpr bool is_about_grants(request_type type) noexcept {
  using enum request_type;
  return type == capsule_issue || type == capsule_verify || type == capsule_revoke || type == proof || type == promote;
}

struct broker_handler::pending {
  using steady = std::chrono::steady_clock;

  service& owner;
  std::weak_ptr<broker_handler> handler;
  std::shared_ptr<const client_link> link;
  const rpc::method& method;
  rpc::answer_to done;
  /// Agent, database and ids of the call, for the audit; if not set, they are taken from `params` while those exist.
  unrecorded_request names{};
  const nlohmann::json* params = nullptr;
  /// Whether an actor or the broker has recorded the call in the audit.
  bool recorded = false;
  /// Whether no client waits for the answer.
  bool is_notification = false;
  /// Whether the text of the result is also needed as a JSON string.
  bool quotes_text = false;
  std::string agent{};
  /// What the policy has decided about it.
  admission admitted{};
  steady::time_point start = steady::now();
  /// Of a call of an operation: the operation, and the catalogue that owns it; else null.
  std::shared_ptr<const catalogue> operations{};
  const sluice::operation* operation = nullptr;
  /// Whether a read has a list of statements, so that the answer has a list, too.
  bool has_list = false;
  // The form of integers in the answer.
  integer_form integers = integer_form::number;
  // The entry through which it can be cancelled, until it has been answered.
  std::optional<requests_under_way::entry> under_way{};

  // Results of at least this many bytes are written as text by another thread than that of the loop.
  static constexpr size_t large_result = 32 * 1024;

  // Registers the call for `cancel`, and for the end of its client. A second call has no effect.
  template <class Request> static void put_under_way(const std::shared_ptr<pending>& self, Request& request) {
    if (self->under_way)
      return;
    if (request.request_id.empty())
      request.request_id = self->owner.ids_.next();
    auto handler = self->handler.lock();
    auto ends_with_client = handler && !(self->is_notification && std::is_same_v<Request, write_request>);
    request.cancel = ends_with_client ? handler->left_.derive() : cancel_token::make();
    self->under_way =
      self->owner.under_way_.add({request.request_id, {request.agent, request.peer, self->handler}, request.cancel});
  }

  // If the client has gone, or the request was cancelled at once, no database is opened and no actor is queried.
  template <class Request> static bool refuse_cancelled(const std::shared_ptr<pending>& self, const Request& request) {
    if (!request.cancel.cancelled())
      return false;
    self->refuse(request, make_error(errc::cancelled, "the request was cancelled before it began"));
    return true;
  }

  void answer(rpc::answer response) {
    if (under_way)
      owner.under_way_.remove(*std::exchange(under_way, std::nullopt));
    auto now = steady::now();
    auto code = code_name_of(response);
    owner.metrics_.observe(method.name, code, now - start);
    owner.traffic_.answered(method.name, agent, response.error.has_value(), now - start, now);
    if (!recorded && (response.error || method.audited == rpc::method_audit::all))
      enter(code);
    if (!handler.expired())
      done(std::move(response));
  }

  void succeed(nlohmann::json result) { answer({std::move(result), std::nullopt, {}}); }

  static void succeed(const std::shared_ptr<pending>& self, const audit_verdict& verdict) {
    self->succeed(as_json(verdict));
  }

  static void succeed(const std::shared_ptr<pending>& self, const audit_pruned& pruned) {
    self->succeed({{"removed", pruned.records}, {"first_seq", pruned.first_seq}, {"more", pruned.has_more}});
  }

  template <class Result>
  static std::string text_of(const Result& result, integer_form integers, const sluice::operation* operation,
                             bool has_list) {
    if constexpr (requires { render_list(result, integers); })
      if (has_list)
        return render_list(result, integers);
    if constexpr (requires { render_answer(operation->kind, result, integers); })
      if (operation)
        return render_answer(operation->kind, result, integers);
    return answer_as_text(result, integers);
  }

  // Writing a large result as text takes milliseconds, in which the loop could serve other clients.
  template <class Result> static void succeed(const std::shared_ptr<pending>& self, const Result& result) {
    if constexpr (requires { unfit_rows(*self->operation, result); })
      if (auto unfit = self->operation ? unfit_rows(*self->operation, result) : std::nullopt)
        return self->fail(*unfit);
    if (size_of(result) < large_result)
      return self->answer({nullptr, std::nullopt, text_of(result, self->integers, self->operation, self->has_list)});
    self->owner.in_background(
      self->owner.rendering_,
      [result, integers = self->integers, operations = self->operations, operation = self->operation,
       has_list = self->has_list, quotes = self->quotes_text]() -> caf::expected<rpc::answer> {
        try {
          rpc::answer response;
          response.text = text_of(result, integers, operation, has_list);
          if (quotes)
            response.quoted = dump(nlohmann::json(response.text));
          return response;
        } catch (const std::bad_alloc&) {
          return make_error(errc::unavailable,
                            "there is not enough memory to write this answer out; ask for fewer rows");
        }
      },
      [self](caf::expected<rpc::answer> response) {
        if (!response)
          return self->fail(response.error());
        self->answer(std::move(*response));
      });
  }

  // Sends an actor a query that may take long, in its turn, unless the client has gone by then. `receiver` returns the
  // actor, which may have been restarted meanwhile.
  template <class Result, class Whom, class Question>
  static void ask_in_turn(const std::shared_ptr<pending>& self, const Whom& receiver, const Question& question) {
    self->owner.lookups_.take(
      [handler = self->handler] { return !handler.expired(); },
      [self, receiver, question](const std::function<void()>& ended) {
        auto succeeded = [self, ended](const Result& result) {
          succeed(self, result);
          ended();
        };
        auto failed = [self, ended](const caf::error& reason) {
          self->fail(reason);
          ended();
        };
        auto& from = self->owner;
        from.actor_.request(receiver(from.leader_.actors()), caf::infinite, question).then(succeeded, failed);
      });
  }

  void fail(const failure& reason) {
    // A capsule or a proof may be refused for many reasons; readers of the audit need to know which.
    if (names.reason.empty() && (reason.code == errc::capsule_invalid || is_about_grants(method.type)))
      names.reason = reason.message;
    auto error = rpc::error_of(operation ? failure_of_call(*operation, reason) : reason);
    if (reason.code == errc::unavailable && owner.draining_)
      error.data["draining"] = true;
    answer({nullptr, std::move(error), {}});
  }
  void fail(const caf::error& reason) { fail(describe(reason)); }

  // Refuses a request that was decoded but reached no actor that records it.
  template <class Request> void refuse(const Request& request, const caf::error& reason) {
    names.agent = request.agent;
    names.db = request.db;
    names.request_id = request.request_id;
    names.correlation_id = request.correlation_id;
    auto refusal = describe(reason);
    refusal.request_id = request.request_id;
    fail(refusal);
  }

  // Sets agent and process of the request. False if they are not allowed; the call has been answered then.
  template <class Request> bool sign(Request& request) {
    request.peer = link->peer;
    integers = integers_of(request);
    return sign(request.agent);
  }

  bool sign(std::string& name) {
    if (name.empty())
      name = link->agent;
    else if (auto reason = agent_name_error(name)) {
      fail(make_error(errc::invalid_request, "agent " + *reason));
      return false;
    }
    agent = name;
    return true;
  }

  /// Asks the policy, for a sender with this name; empty for the connection's.
  bool admit(std::string_view name, const access_demand& demand);
  /// Answers a call that the policy has refused.
  void deny(const failure& reason);
  void deny() { deny(*admitted.refused); }
  /// Whether the policy, and a read-only broker, admit the call with these parameters. If not, it has been answered.
  /// Of calls of operations, `may_call` decides.
  bool pass(const nlohmann::json& given);
  bool may_call(const sluice::operation& wanted, std::string_view sender);

private:
  void enter(std::string_view status) {
    names.type = method.type;
    names.link_agent = link->agent;
    names.peer = link->peer;
    if (params)
      rpc::read_names(*params, names);
    // It names another sender.
    if (method.type == request_type::audit_refused)
      names.agent.clear();
    owner.leader_.record(names, status);
  }
};

// A read that waits until other reads of its connection have been answered.
struct broker_handler::waiting_read {
  database db;
  read_request request;
  call_ptr call;
  pending::steady::time_point end;
};

} // namespace sluice
