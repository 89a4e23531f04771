#include "messages/error.hpp"

#include <caf/atom.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>

namespace sluice {

namespace {

constexpr auto category = caf::atom("sluice");

failure describe_caf(const caf::error& x) {
  failure result;
  if (x.category() != caf::atom("system")) {
    result.message = "an actor ended with an error of its own";
    result.code = errc::unavailable;
    result.outcome = outcome::unknown;
    return result;
  }
  switch (static_cast<caf::sec>(x.code())) {
  case caf::sec::request_receiver_down:
    // CAF bounces what still lay in the dead actor's mailbox; nobody had begun to execute it.
    result.code = errc::unavailable;
    result.message = "the actor that serves this database has just ended; it is being restarted";
    result.retry_after_ms = 100;
    return result;
  case caf::sec::request_timeout:
    result.code = errc::deadline_exceeded;
    result.outcome = outcome::unknown;
    result.message = "no answer within the deadline";
    return result;
  default:
    result.message = "unexpected actor-system error " + caf::to_string(static_cast<caf::sec>(x.code()));
    result.outcome = outcome::unknown;
    return result;
  }
}

} // namespace

caf::error make_error(failure x) {
  auto code = static_cast<uint8_t>(x.code);
  return caf::error{code, category, caf::make_message(std::move(x))};
}

caf::error make_error(errc code, std::string message) {
  failure x;
  x.code = code;
  x.message = std::move(message);
  return make_error(std::move(x));
}

failure describe(const caf::error& x) {
  if (!x)
    return {};
  if (x.category() != category)
    return describe_caf(x);
  if (x.context().match_elements<failure>())
    return x.context().get_as<failure>(0);
  failure result;
  result.code = static_cast<errc>(x.code());
  return result;
}

errc code_of(const caf::error& x) {
  return x && x.category() == category ? static_cast<errc>(x.code()) : describe(x).code;
}

} // namespace sluice
