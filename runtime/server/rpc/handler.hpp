#pragma once

#include "messages/error.hpp"

#include <nlohmann/json.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

/// JSON-RPC 2.0 as data and plain functions, independent of transports.
namespace sluice::rpc {

struct typed_request;
class typed_reader;

/// The codes of JSON-RPC itself, and one for all other failures, which `data.code` distinguishes.
enum error_code : int {
  parse_error = -32700,
  invalid_request = -32600,
  method_not_found = -32601,
  invalid_params = -32602,
  internal_error = -32603,
  request_failed = -32000,
};

/// The error of a failed call.
struct error {
  int code = internal_error;
  std::string message;
  /// An object, or null when there are no details.
  nlohmann::json data;
};

/// The outcome of a call: its result, unless there is an error.
struct answer {
  nlohmann::json result{};
  std::optional<rpc::error> error{};
  /// The result as a document on one line, if it was written already; `result` is then ignored.
  std::string text{};
  /// `text` as a JSON string, for handlers that called `quote_texts`.
  std::string quoted{};
};

/// Receives the answer to one call.
using answer_to = std::function<void(answer)>;

/// Handles the calls of one client. Not synchronized: its transport calls it from one thread at a time.
class handler {
public:
  virtual ~handler() = default;

  /// Called with the `id` of the next call's request, null for a notification; valid until it returns. For handlers
  /// whose methods refer to other requests by id, as MCP's do.
  virtual void set_request_id([[maybe_unused]] const nlohmann::json* id) {}

  /// Calls `done` exactly once, at once or later; never if the handler is destroyed before. `params` is an object, an
  /// array or null.
  virtual void call(const std::string& method, nlohmann::json params, answer_to done) = 0;

  /// Reads requests for `call_typed`; null for a handler that does not accept them.
  virtual typed_reader* reader() { return nullptr; }

  /// Whether `call_typed` accepts this request, whose parameters have been read; otherwise `call` gets it as a
  /// document.
  virtual bool takes([[maybe_unused]] const typed_request& request) const { return false; }

  /// As `call`, for a request that `takes` accepts.
  virtual void call_typed([[maybe_unused]] typed_request&& request, [[maybe_unused]] answer_to done) {}

  /// Called for requests that were refused before they became a call: invalid documents, or calls that an outer handler
  /// refused. `method` is empty if none could be read; `params` is the part that was read, or null.
  virtual void note_refusal([[maybe_unused]] std::string_view method, [[maybe_unused]] const nlohmann::json& params,
                            [[maybe_unused]] const error& reason) {}

  /// Called when the client has too many unread answers, and when that is over. In between, requests with possibly
  /// large answers are not started.
  virtual void hold([[maybe_unused]] bool is_behind) {}

  /// Called when the client has gone and reads no more answers: its requests end. Calls that it sent before may still
  /// follow.
  virtual void leave() {}

  /// Requests the texts of results as JSON strings, too, for a handler that embeds one document in another.
  virtual void quote_texts() {}

  /// Whether the client waits for notifications, so that it is not idle.
  virtual bool has_subscriptions() const { return false; }
};

} // namespace sluice::rpc
