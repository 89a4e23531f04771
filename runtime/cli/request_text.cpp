#include "runtime/cli/request_text.hpp"

#include "actors/base/utf8_text.hpp"
#include "runtime/cli/table.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace sluice::cli {

namespace {

using nlohmann::json;

// This many fit on a screen; --json lists all of them.
constexpr size_t running_shown = 10;
constexpr size_t sql_shown = 60;

} // namespace

std::string duration_text(uint64_t us) {
  auto seconds = static_cast<double>(us) / 1e6;
  if (us < 10'000)
    return fmt::format("{} us", us);
  if (seconds < 1)
    return fmt::format("{:.1f} ms", seconds * 1e3);
  if (seconds < 120)
    return fmt::format("{:.1f} s", seconds);
  return seconds < 2 * 3'600 ? fmt::format("{:.0f} min", seconds / 60) : fmt::format("{:.1f} h", seconds / 3'600);
}

std::string short_sql(const std::string& sql) {
  std::string line;
  for (auto c : sql.substr(0, 4 * sql_shown))
    if (auto blank = c == '\n' || c == '\t' || c == '\r' || c == ' '; !blank || (!line.empty() && line.back() != ' '))
      line += blank ? ' ' : c;
  if (line.size() <= sql_shown)
    return line;
  return std::string{utf8_prefix(line, sql_shown)} + "...";
}

std::string running_text(const json& request) {
  constexpr auto right = alignment::right;
  // An older broker does not have this member.
  const auto running = request.value("running", json::array());
  table result{{{"RUNNING", right}, {"STATE"}, {"AGENT"}, {"DATABASE"}, {"REQUEST"}, {"SQL"}}};
  for (size_t i = 0; i < std::min(running_shown, running.size()); ++i) {
    auto text = [&](const char* name) { return running[i].at(name).get<std::string>(); };
    result.add({duration_text(1'000 * running[i].at("since_ms").get<uint64_t>()), text("state"), text("agent"),
                text("db"), text("request_id"), short_sql(text("sql"))});
  }
  if (result.empty())
    return "";
  auto more = running.size() - std::min(running_shown, running.size());
  return "\n" + result.text() + (more > 0 ? fmt::format("and {} more; --json has all\n", more) : "");
}

} // namespace sluice::cli
