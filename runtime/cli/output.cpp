#include "runtime/cli/output.hpp"

#include "runtime/cli/terminal_text.hpp"
#include "runtime/json/json.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace sluice::cli {

namespace {

int complain(const failure& error, bool json, int status) {
  fmt::print(stderr, "sluice: {}: {}\n", to_string(error.code), printable(error.message));
  if (json)
    print_json(dump(error_document(error)) + "\n");
  return status;
}

} // namespace

bool is_read_by_terminal() noexcept {
  static const auto result = isatty(STDOUT_FILENO) != 0;
  return result;
}

delivery print(std::string_view text) {
  return is_read_by_terminal() ? print_raw(printable_lines(text)) : print_raw(text);
}

delivery print_json(std::string_view documents) {
  return is_read_by_terminal() ? print_raw(printable_json(documents)) : print_raw(documents);
}

delivery print_raw(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return delivery::complete;
  auto reason = errno;
  if (reason == EPIPE)
    return delivery::reader_gone;
  fmt::print(stderr, "sluice: io_error: cannot write the output: {}\n",
             reason == EBADF ? "standard output is closed" : std::strerror(reason));
  return delivery::failed;
}

int status_of(delivery end) noexcept { return end == delivery::failed ? failed : done; }

int finish(std::string_view text) { return status_of(print(text)); }

int finish_json(const nlohmann::json& document) { return status_of(print_json(dump(document) + "\n")); }

int finish_cut(int status, std::string_view cut) {
  note(cut);
  return status == done ? incomplete : status;
}

void note(std::string_view text) { fmt::print(stderr, "sluice: {}\n", printable(text)); }

int fail(const failure& error, bool json) {
  return complain(error, json, error.code == errc::route_required ? no_broker : failed);
}

int fail(const caf::error& error, bool json) { return fail(describe(error), json); }

int usage_error(std::string_view message, bool json) {
  return complain(make_failure(errc::invalid_request, std::string{message}), json, wrong_usage);
}

} // namespace sluice::cli
