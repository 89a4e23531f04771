#pragma once

#include "messages/read.hpp"
#include "messages/write.hpp"
#include "runtime/catalogue/operation.hpp"

#include <caf/expected.hpp>
#include <nlohmann/json.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace sluice {

/// A call of an operation, as a client sends it.
struct operation_call {
  std::string operation;
  /// An object; of a `:batch` operation an array of objects.
  nlohmann::json arguments = nlohmann::json::object();
  std::string agent;
  std::string request_id;
  std::string correlation_id;
  /// Of an operation that reads it has no effect: callers need not know which ones do.
  std::string idempotency_key;
  /// Zero for the configured time of a write or a read.
  std::chrono::milliseconds time{0};
  integer_form integers = integer_form::number;
  /// The capsule; null for none.
  std::shared_ptr<const request_grant> grant{};
  /// Whether the caller refuses operations that write.
  bool read_only = false;
};

using operation_request = std::variant<write_request, read_request>;

/// The request that executes the call: a write if the operation writes, else a read, which may use kept answers only if
/// the operation has a `cache` line. `errc::invalid_request` for an argument that `arguments_from_json` refuses. Pure;
/// safe from any thread.
caf::expected<operation_request> request_of(const operation& of, operation_call call);

/// The same with arguments that are values, instead of `call.arguments`: one set, or several of a `:batch` operation.
caf::expected<operation_request> request_of(const operation& of, operation_call call,
                                            const std::vector<std::vector<named_value>>& sets);

} // namespace sluice
