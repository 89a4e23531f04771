#include "runtime/cli/serve_log.hpp"

#include "runtime/cli/terminal_text.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace sluice::cli {

namespace {

spdlog::logger& log() {
  static auto logger = [] {
    auto x = spdlog::stderr_logger_mt("sluice");
    x->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l [%P] %v");
    return x;
  }();
  return *logger;
}

} // namespace

void log_info(std::string_view text) { log().info(printable(text)); }
void log_warning(std::string_view text) { log().warn(printable(text)); }

} // namespace sluice::cli
