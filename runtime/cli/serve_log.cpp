#include "runtime/cli/serve_log.hpp"

#include "runtime/broker/log_sink.hpp"
#include "runtime/cli/terminal_text.hpp"

#include <spdlog/sinks/dist_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace sluice::cli {

namespace {

constexpr const char* own_name = "sluice";

// A sink to which others can be added while it is in use.
struct serve_log {
  std::shared_ptr<spdlog::sinks::dist_sink_mt> all = std::make_shared<spdlog::sinks::dist_sink_mt>();
  spdlog::logger everywhere{own_name, all};
  spdlog::logger on_stderr;

  serve_log() : serve_log(std::make_shared<spdlog::sinks::stderr_sink_mt>()) {}

private:
  explicit serve_log(const spdlog::sink_ptr& terminal) : on_stderr(own_name, terminal) {
    all->add_sink(terminal);
    everywhere.set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l [%P] %v");
  }
};

serve_log& log() {
  static serve_log instance;
  return instance;
}

} // namespace

void log_info(std::string_view text) { log().everywhere.info(printable(text)); }
void log_warning(std::string_view text) { log().everywhere.warn(printable(text)); }

void log_into(const broker& leader) {
  log().all->add_sink(make_log_sink(leader));
  leader.on_warning([](std::string_view text) { log().on_stderr.warn(printable(text)); });
}

} // namespace sluice::cli
