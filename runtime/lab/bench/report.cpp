#include "runtime/lab/bench/report.hpp"

#include "runtime/lab/bench/figures.hpp"

#include <fmt/format.h>

#include <set>

namespace sluice::bench {

namespace {

std::string rate_text(double per_second) {
  if (per_second >= 1e6)
    return fmt::format("{:.2f}M/s", per_second / 1e6);
  if (per_second >= 1e3)
    return fmt::format("{:.1f}k/s", per_second / 1e3);
  return fmt::format("{:.0f}/s", per_second);
}

std::string time_text(double us) {
  if (us <= 0)
    return "-";
  if (us >= 1e4)
    return fmt::format("{:.1f} ms", us / 1e3);
  return us >= 10 ? fmt::format("{:.0f} us", us) : fmt::format("{:.2f} us", us);
}

std::string number_text(const std::optional<double>& number, int digits) {
  return number ? fmt::format("{:.{}f}", *number, digits) : "-";
}

// The figure of the broker and that of its clients, or of the one process that contains both.
std::string shares_text(const contender_result& contender,
                        std::optional<double> (*of)(const contender_result&, usage_member)) {
  auto broker = of(contender, &measurement::broker);
  auto clients = of(contender, &measurement::clients);
  if (!broker && !clients)
    return number_text(of(contender, &measurement::process), 1);
  if (!broker || !clients)
    return number_text(broker ? broker : clients, 1);
  return fmt::format("{:.1f}+{:.1f}", *broker, *clients);
}

void print_contender(std::FILE* to, const contender_result& contender) {
  auto latencies = contender.latencies();
  auto at = [&](double q) { return time_text(quantile(latencies, q)); };
  fmt::print(to, "  {:<50} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7} {:>6} {:>15} {:>12} {:>8} {:>6}\n", contender.name,
             rate_text(contender.per_second()), latencies.empty() ? time_text(contender.mean_us()) : at(0.5), at(0.99),
             at(0.999), at(1), number_text(rows_per_commit_of(contender), 1), number_text(fairness_of(contender), 2),
             shares_text(contender, cpu_us_per_request), shares_text(contender, switches_per_request),
             number_text(written_bytes_per_row(contender), 0), contender.errors());
}

std::string spread_text(const spread& of) {
  return fmt::format("{:.3g} ({:.3g} to {:.3g})", of.median, of.min, of.max);
}

std::string unit_text(const goal_result& found) { return found.unit.empty() ? "" : " " + found.unit; }

struct verdict {
  std::string faster;
  std::string slower;
};

void append(std::string& list, const std::string& item) { list += (list.empty() ? "" : "; ") + item; }

// Compares each contender of sluice with the first contender of its case that uses SQLite directly.
verdict verdict_of(const std::vector<case_result>& all) {
  verdict result;
  for (const auto& one_case : all) {
    std::set<std::string> seen;
    for (const auto& found : one_case.ratios) {
      if (found.reference_kind != contender_kind::direct || !seen.insert(found.contender).second)
        continue;
      auto name = found.contender.starts_with("sluice, ") ? found.contender.substr(8) : found.contender;
      append(found.got.median >= 1 ? result.faster : result.slower,
             fmt::format("{} ({}) {:.3g}x", one_case.name, name, found.got.median));
    }
  }
  return result;
}

} // namespace

void print(std::FILE* to, const case_result& one_case) {
  fmt::print(to, "\n{}: {}\n", one_case.name, one_case.title);
  if (!one_case.contenders.empty())
    fmt::print(to, "  {:<50} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7} {:>6} {:>15} {:>12} {:>8} {:>6}\n", "", "rate", "p50",
               "p99", "p99.9", "max", "rows/c", "fair", "CPU us/req", "switches/req", "B/row", "errors");
  for (const auto& found : one_case.contenders)
    print_contender(to, found);
  for (const auto& found : one_case.contenders)
    if (found.stored)
      fmt::print(to, "  stored per row by {}: {:.0f} B in the database, {:.0f} B in the audit\n", found.name,
                 found.stored->database, found.stored->audit);
  for (const auto& found : one_case.ratios)
    fmt::print(to, "  {}: {}x {}\n", found.contender, spread_text(found.got), found.reference);
  for (const auto& found : one_case.goals)
    fmt::print(to, "  goal: {} {:g}{} {}; got {}: {}\n", found.is_upper_bound ? "at most" : "at least", found.wanted,
               unit_text(found), found.text, spread_text(found.got), found.is_met() ? "met" : "MISSED");
  if (!one_case.failure.empty())
    fmt::print(to, "  FAILED: {}\n", one_case.failure);
}

std::string summary_of(const std::vector<case_result>& all) {
  auto beside_direct = verdict_of(all);
  size_t goals = 0;
  size_t met = 0;
  std::string missed, failed;
  for (const auto& one_case : all) {
    for (const auto& found : one_case.goals) {
      ++goals;
      if (found.is_met())
        ++met;
      else
        append(missed, fmt::format("{} ({:.3g}{} {}, wanted {:g})", one_case.name, found.got.median, unit_text(found),
                                   found.text, found.wanted));
    }
    if (!one_case.failure.empty())
      append(failed, one_case.name);
  }
  auto or_none = [](const std::string& list) { return list.empty() ? std::string{"none of these cases"} : list; };
  return fmt::format("Faster than direct SQLite: {}. Slower than direct SQLite: {}. Of {} goals {} are met{}{}.",
                     or_none(beside_direct.faster), or_none(beside_direct.slower), goals, met,
                     missed.empty() ? "" : "; missed: " + missed, failed.empty() ? "" : "; FAILED cases: " + failed);
}

} // namespace sluice::bench
