#include "runtime/cli/output.hpp"
#include "runtime/cli/terminal_text.hpp"
#include "runtime/json/json.hpp"

#include <cstdio>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <string>

namespace sluice::cli {

namespace {

int complain(const failure& error, bool json, int status) {
  // An error in writing to stderr is ignored.
  std::fputs(fmt::format("sluice: {}: {}\n", to_string(error.code), printable(error.message)).c_str(), stderr);
  if (json)
    print_json(dump(error_document(error)) + "\n");
  return status;
}

} // namespace

int finish_json(const nlohmann::json& document) { return status_of(print_json(dump(document) + "\n")); }

int fail(const failure& error, bool json) {
  return complain(error, json, error.code == errc::route_required ? no_broker : failed);
}

int fail(const caf::error& error, bool json) { return fail(describe(error), json); }

int usage_error(std::string_view message, bool json) {
  return complain(make_failure(errc::invalid_request, std::string{message}), json, wrong_usage);
}

} // namespace sluice::cli
