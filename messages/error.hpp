#pragma once

#include "messages/inspection.hpp"

#include <caf/error.hpp>
#include <caf/meta/omittable.hpp>
#include <caf/meta/type_name.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

/// The code of a failure; the names are those of the protocol (docs/reference/protocol.md).
enum class errc : uint8_t {
  invalid_request = 1,
  unknown_database,
  unknown_operation,
  sql_error,
  constraint,
  busy,
  deadline_exceeded,
  cancelled,
  overloaded,
  too_large,
  not_authorized,
  capsule_invalid,
  payload_mismatch,
  unavailable,
  disk_full,
  io_error,
  corrupt,
  read_only,
  protocol_mismatch,
  route_required,
  wrong_store,
  file_replaced,
  ledger_damaged,
  conflict,
  internal,
};

namespace detail {

// One table holds codes and names, in the order of the enum; the assertion below keeps them together.
struct errc_name {
  errc code;
  std::string_view name;
};

inline constexpr std::array errc_names{
  errc_name{errc::invalid_request, "invalid_request"},
  errc_name{errc::unknown_database, "unknown_database"},
  errc_name{errc::unknown_operation, "unknown_operation"},
  errc_name{errc::sql_error, "sql_error"},
  errc_name{errc::constraint, "constraint"},
  errc_name{errc::busy, "busy"},
  errc_name{errc::deadline_exceeded, "deadline_exceeded"},
  errc_name{errc::cancelled, "cancelled"},
  errc_name{errc::overloaded, "overloaded"},
  errc_name{errc::too_large, "too_large"},
  errc_name{errc::not_authorized, "not_authorized"},
  errc_name{errc::capsule_invalid, "capsule_invalid"},
  errc_name{errc::payload_mismatch, "payload_mismatch"},
  errc_name{errc::unavailable, "unavailable"},
  errc_name{errc::disk_full, "disk_full"},
  errc_name{errc::io_error, "io_error"},
  errc_name{errc::corrupt, "corrupt"},
  errc_name{errc::read_only, "read_only"},
  errc_name{errc::protocol_mismatch, "protocol_mismatch"},
  errc_name{errc::route_required, "route_required"},
  errc_name{errc::wrong_store, "wrong_store"},
  errc_name{errc::file_replaced, "file_replaced"},
  errc_name{errc::ledger_damaged, "ledger_damaged"},
  errc_name{errc::conflict, "conflict"},
  errc_name{errc::internal, "internal"},
};

constexpr bool errc_names_match() {
  for (size_t i = 0; i < errc_names.size(); ++i)
    if (static_cast<size_t>(errc_names[i].code) != i + 1)
      return false;
  return errc_names.size() == static_cast<size_t>(errc::internal);
}

static_assert(errc_names_match(), "every errc has its name, in the order of the enum");

} // namespace detail

/// The protocol's name of `code`.
constexpr std::string_view to_string(errc code) {
  // A node of a later version may know more codes.
  auto i = static_cast<size_t>(code) - 1;
  return i < detail::errc_names.size() ? detail::errc_names[i].name : "internal";
}

/// The code with this name; nothing for a name of another version.
constexpr std::optional<errc> errc_of(std::string_view name) {
  for (const auto& each : detail::errc_names)
    if (each.name == name)
      return each.code;
  return std::nullopt;
}

/// The outcome of a write.
enum class outcome : uint8_t { not_committed, committed, unknown };

constexpr std::string_view to_string(outcome outcome) {
  constexpr std::array<std::string_view, 3> words{"not_committed", "committed", "unknown"};
  return words[static_cast<size_t>(outcome)];
}

/// Everything that a caller learns about a failed request.
struct failure {
  errc code = errc::internal;
  /// `unknown` only if the outcome of a COMMIT cannot be determined; repeat with the same idempotency key.
  sluice::outcome outcome = outcome::not_committed;
  /// For people; contains no path outside the store root and no secret.
  std::string message;
  /// With `overloaded` and `unavailable`: when to try again, in milliseconds; 0 means no advice.
  uint32_t retry_after_ms = 0;
  /// With `busy`: the number of attempts to get the lock, and the total wait.
  uint32_t attempts = 0;
  uint32_t waited_ms = 0;
  std::string request_id;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, failure& x) {
  return f(caf::meta::type_name("failure"), x.code, x.outcome, x.message, x.retry_after_ms, x.attempts, x.waited_ms,
           x.request_id);
}
SLUICE_DECLARE_INSPECT(failure)

/// The fields of a failure beside its code and message, each as in `failure`.
struct failure_details {
  sluice::outcome outcome = outcome::not_committed;
  uint32_t retry_after_ms = 0;
  uint32_t attempts = 0;
  uint32_t waited_ms = 0;
};

/// Makes a failure in one expression, as `make_failure(errc::overloaded, "the queue is full", {.retry_after_ms =
/// 100})`.
failure make_failure(errc code, std::string message, failure_details details = {});

/// `invalid_request` with the message "FIELD REASON"; front doors take the first word as the name of the field.
failure invalid_field(std::string_view field, std::string_view reason);

/// Wraps `why` as a CAF error of the category "sluice".
caf::error make_error(failure why);

/// Wraps `make_failure` of the same arguments.
caf::error make_error(errc code, std::string message, failure_details details = {});

/// Reads any CAF error as a failure: our own in full, CAF's (a receiver that died, a time-out) mapped to
/// `unavailable` and `deadline_exceeded`, anything else to `internal`.
failure describe(const caf::error& error);

/// The code that `describe` would report.
errc code_of(const caf::error& error);

} // namespace sluice
