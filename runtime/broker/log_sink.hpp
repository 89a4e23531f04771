#pragma once

#include "runtime/broker/broker.hpp"

#include <spdlog/sinks/sink.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

/// For hosts that log with spdlog: a sink that writes to the log database. Nothing else of sluice includes spdlog.
namespace sluice {

/// The level of the log database for a level of spdlog.
constexpr log_level log_level_of(spdlog::level::level_enum level) {
  switch (level) {
  case spdlog::level::trace: return log_level::trace;
  case spdlog::level::debug: return log_level::debug;
  case spdlog::level::warn: return log_level::warning;
  case spdlog::level::err: return log_level::error;
  case spdlog::level::critical: return log_level::critical;
  default: return log_level::info;
  }
}

/// Writes messages unchanged, with the name of their spdlog logger as source; patterns and formatters apply to lines of
/// text, and are ignored here. Safe to use from any thread.
class log_sink final : public spdlog::sinks::sink {
public:
  log_sink(logger to, std::string agent) : to_(std::move(to)), agent_(std::move(agent)) {}

  void log(const spdlog::details::log_msg& message) override {
    to_.log(log_level_of(message.level), {message.logger_name.data(), message.logger_name.size()},
            {message.payload.data(), message.payload.size()}, agent_);
  }

  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

private:
  logger to_;
  std::string agent_;
};

/// A sink into the log database of the broker's store. It may outlive the broker: entries are then dropped, and
/// counted.
inline std::shared_ptr<spdlog::sinks::sink> make_log_sink(const broker& to, std::string agent = {}) {
  return std::make_shared<log_sink>(to.logs(), std::move(agent));
}

} // namespace sluice
