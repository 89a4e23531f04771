#include "runtime/lab/bench/report.hpp"

#include <fmt/core.h>

namespace sluice::bench {

namespace {

std::string human(double per_second) {
  if (per_second >= 1e6)
    return fmt::format("{:.2f}M/s", per_second / 1e6);
  if (per_second >= 1e3)
    return fmt::format("{:.1f}k/s", per_second / 1e3);
  return fmt::format("{:.0f}/s", per_second);
}

std::string micros(double us) {
  if (us <= 0)
    return "-";
  if (us >= 1e4)
    return fmt::format("{:.1f} ms", us / 1e3);
  return us >= 10 ? fmt::format("{:.0f} us", us) : fmt::format("{:.2f} us", us);
}

} // namespace

void print(std::FILE* to, case_report& report) {
  fmt::print(to, "\n{}\n", report.name);
  fmt::print(to, "  {:<42} {:>10} {:>7} {:>10} {:>10} {:>10} {:>10} {:>9} {:>6} {:>7}\n", "", "rate", "ratio", "p50",
             "p99", "p99.9", "max", "rows/c", "fair", "errors");
  auto first = report.contenders.front().per_second();
  for (auto& contender : report.contenders) {
    auto& lat = contender.latencies_us;
    auto p50 =
      lat.empty() ? micros(contender.rows_per_commit > 0 ? 0 : contender.mean_us()) : micros(quantile(lat, 0.5));
    auto rows = contender.rows_per_commit > 0 ? fmt::format("{:.1f}", contender.rows_per_commit) : std::string{"-"};
    auto fair = contender.fairness > 0 ? fmt::format("{:.2f}", contender.fairness) : std::string{"-"};
    fmt::print(to, "  {:<42} {:>10} {:>7.2f} {:>10} {:>10} {:>10} {:>10} {:>9} {:>6} {:>7}\n", contender.contender,
               human(contender.per_second()), first > 0 ? contender.per_second() / first : 0, p50,
               micros(quantile(lat, 0.99)), micros(quantile(lat, 0.999)), micros(quantile(lat, 1)), rows, fair,
               contender.errors);
  }
  for (const auto& g : report.goals)
    fmt::print(to, "  goal: {} {:g} {}; got {:.3g}: {}\n", g.at_most ? "at most" : "at least", g.wanted, g.text,
               g.ratio, g.met() ? "met" : "MISSED");
}

nlohmann::json to_json(case_report& report) {
  nlohmann::json out{
    {"case", report.name}, {"contenders", nlohmann::json::array()}, {"goals", nlohmann::json::array()}};
  for (auto& contender : report.contenders) {
    nlohmann::json row{{"contender", contender.contender},
                       {"operations", contender.operations},
                       {"errors", contender.errors},
                       {"per_second", contender.per_second()},
                       {"mean_us", contender.mean_us()},
                       {"seconds", contender.seconds},
                       {"rows_per_commit", contender.rows_per_commit}};
    if (contender.fairness > 0)
      row["fairness"] = contender.fairness;
    if (auto& lat = contender.latencies_us; !lat.empty())
      row["latency_us"] = {{"p50", quantile(lat, 0.5)},
                           {"p99", quantile(lat, 0.99)},
                           {"p99_9", quantile(lat, 0.999)},
                           {"max", quantile(lat, 1)}};
    out["contenders"].push_back(std::move(row));
  }
  for (const auto& g : report.goals)
    out["goals"].push_back({{"text", g.text},
                            {"ratio", g.ratio},
                            {"wanted", g.wanted},
                            {"direction", g.at_most ? "at_most" : "at_least"},
                            {"met", g.met()}});
  return out;
}

} // namespace sluice::bench
