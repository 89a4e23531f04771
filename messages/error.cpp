#include "messages/error.hpp"

#include <caf/atom.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>

namespace sluice {

namespace {

constexpr auto category = caf::atom("sluice");

failure describe_caf(const caf::error& error) {
  if (error.category() != caf::atom("system"))
    return make_failure(errc::unavailable, "an actor ended with an error of its own", {.outcome = outcome::unknown});
  switch (static_cast<caf::sec>(error.code())) {
  case caf::sec::request_receiver_down:
    // CAF bounces the messages in a dead actor's mailbox; the actor had not begun to execute them.
    return make_failure(errc::unavailable, "the actor that serves this database has just ended; it is being restarted",
                        {.retry_after_ms = 100});
  case caf::sec::request_timeout:
    return make_failure(errc::deadline_exceeded, "no answer within the deadline", {.outcome = outcome::unknown});
  default:
    return make_failure(errc::internal,
                        "unexpected actor-system error " + caf::to_string(static_cast<caf::sec>(error.code())),
                        {.outcome = outcome::unknown});
  }
}

} // namespace

failure make_failure(errc code, std::string message, failure_details details) {
  failure result;
  result.code = code;
  result.outcome = details.outcome;
  result.message = std::move(message);
  result.retry_after_ms = details.retry_after_ms;
  result.attempts = details.attempts;
  result.waited_ms = details.waited_ms;
  return result;
}

failure invalid_field(std::string_view field, std::string_view reason) {
  return make_failure(errc::invalid_request, std::string{field} + " " + std::string{reason});
}

caf::error make_error(failure why) {
  auto code = static_cast<uint8_t>(why.code);
  return caf::error{code, category, caf::make_message(std::move(why))};
}

caf::error make_error(errc code, std::string message, failure_details details) {
  return make_error(make_failure(code, std::move(message), details));
}

failure describe(const caf::error& error) {
  if (!error)
    return {};
  if (error.category() != category)
    return describe_caf(error);
  if (error.context().match_elements<failure>())
    return error.context().get_as<failure>(0);
  failure result;
  result.code = static_cast<errc>(error.code());
  return result;
}

errc code_of(const caf::error& error) {
  return error && error.category() == category ? static_cast<errc>(error.code()) : describe(error).code;
}

} // namespace sluice
