#pragma once

#include "messages/error.hpp"

#include <nlohmann/json.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

/// JSON-RPC 2.0 as data and plain functions; nothing here knows a transport.
namespace sluice::rpc {

struct typed_request;
class typed_reader;

/// The codes of JSON-RPC itself, and the one of all other failures, which `data.code` distinguishes.
enum error_code : int {
  parse_error = -32700,
  invalid_request = -32600,
  method_not_found = -32601,
  invalid_params = -32602,
  internal_error = -32603,
  request_failed = -32000,
};

/// Why a call failed.
struct error {
  int code = internal_error;
  std::string message;
  /// An object, or null when there are no details.
  nlohmann::json data;
};

/// The end of a call: its result, unless there is an error.
struct answer {
  nlohmann::json result{};
  std::optional<rpc::error> error{};
  /// The result as a document on one line, where it has been written out already; `result` is not looked at then.
  std::string text{};
  /// `text` as a JSON text of its own, for handlers that were asked to `quote_texts`.
  std::string quoted{};
};

/// Takes the answer to one call.
using answer_to = std::function<void(answer)>;

/// Where calls are answered, for one client. Not synchronized: its transport calls it from one thread at a time.
class handler {
public:
  virtual ~handler() = default;

  /// Called with the `id` of the request that the next call is for, null for a notification; valid until it returns.
  /// For ports whose methods name other requests by it, as MCP's do.
  virtual void set_request_id([[maybe_unused]] const nlohmann::json* id) {}

  /// Calls `done` exactly once, at once or later; never if the handler is destroyed before. `params` is an object, an
  /// array or null.
  virtual void call(const std::string& method, nlohmann::json params, answer_to done) = 0;

  /// Reads requests for `call_typed`; null for a handler that takes none.
  virtual typed_reader* reader() { return nullptr; }

  /// Whether `call_typed` may have this request, whose parameters have been read; otherwise it comes as a document.
  virtual bool takes([[maybe_unused]] const typed_request& request) const { return false; }

  /// The same for a request that it takes.
  virtual void call_typed([[maybe_unused]] typed_request&& request, [[maybe_unused]] answer_to done) {}

  /// Called for requests that were refused before they became a call: invalid documents, or calls that a handler in
  /// front of this one refused. `method` is empty if none could be read; `params` is the part that was read, or null.
  virtual void note_refusal([[maybe_unused]] std::string_view method, [[maybe_unused]] const nlohmann::json& params,
                            [[maybe_unused]] const error& reason) {}

  /// Called when the client has too many unread answers, and when that is over. In between, requests with possibly
  /// large answers are not started.
  virtual void hold([[maybe_unused]] bool is_behind) {}

  /// Called when the client has gone and reads no more answers: its requests end. Calls that it sent before may still
  /// follow.
  virtual void leave() {}

  /// Asks for the texts of results in quotes, too, as a handler needs them that puts one document into another.
  virtual void quote_texts() {}

  /// Whether the client waits for notifications; it is not idle then.
  virtual bool has_subscriptions() const { return false; }
};

} // namespace sluice::rpc
