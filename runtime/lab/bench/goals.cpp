#include "runtime/lab/bench/goals.hpp"

namespace sluice::bench {

namespace {

// The bytes of a row in a database without sluice, including its share of the page overhead.
constexpr double plain_row_bytes = 103;

using values_of = std::function<std::vector<double>(const case_result&)>;

// Calls `value` for each round with the measurements of two contenders.
values_of each_round(size_t a, size_t b, std::function<double(const measurement&, const measurement&)> value) {
  return [=](const case_result& found) {
    std::vector<double> result;
    const auto& first = found.contenders.at(a).rounds;
    const auto& second = found.contenders.at(b).rounds;
    for (size_t i = 0; i < first.size() && i < second.size(); ++i)
      result.push_back(value(first[i], second[i]));
    return result;
  };
}

double switches_of(const measurement& ours) {
  const auto& used = ours.broker ? ours.broker : ours.process;
  return used ? static_cast<double>(used->context_switches) : 0;
}

} // namespace

goal rate_goal(std::string text, size_t a, size_t b, double wanted) {
  return {std::move(text), wanted, false, each_round(a, b, [](const measurement& ours, const measurement& theirs) {
            return ratio(ours.per_second(), theirs.per_second());
          })};
}

goal time_goal(std::string text, size_t a, size_t b, double wanted) {
  return {std::move(text), wanted, true, each_round(a, b, [](const measurement& ours, const measurement& theirs) {
            return ratio(ours.mean_us(), theirs.mean_us());
          })};
}

goal quantile_goal(std::string text, size_t a, size_t b, double q, double wanted) {
  return {std::move(text), wanted, true, each_round(a, b, [q](const measurement& ours, const measurement& theirs) {
            return ratio(quantile(ours.latencies_us, q), quantile(theirs.latencies_us, q));
          })};
}

goal time_limit_goal(std::string text, size_t a, double q, std::chrono::milliseconds wanted) {
  return {std::move(text), static_cast<double>(wanted.count()), true,
          each_round(
            a, a, [q](const measurement& ours, const measurement&) { return quantile(ours.latencies_us, q) / 1'000; }),
          "ms"};
}

goal no_errors_goal(size_t a) {
  return {"errors among the requests", 0, true, [a](const case_result& found) {
            return std::vector<double>{static_cast<double>(found.contenders.at(a).errors())};
          }};
}

goal switches_per_request_goal(size_t a, double wanted) {
  return {"context switches of the broker per request", wanted, true,
          each_round(a, a, [](const measurement& ours, const measurement&) {
            return ratio(switches_of(ours), static_cast<double>(ours.completed));
          })};
}

goal switches_per_commit_goal(size_t a, double wanted) {
  return {"context switches of the whole process per commit", wanted, true,
          each_round(a, a, [](const measurement& ours, const measurement&) {
            return ratio(switches_of(ours) * ours.rows_per_commit, static_cast<double>(ours.completed));
          })};
}

goal stored_bytes_goal(std::string text, size_t a, double wanted) {
  return {std::move(text), wanted, true, [a](const case_result& results) -> std::vector<double> {
            const auto& found = results.contenders.at(a).stored;
            if (!found)
              return {};
            return {found->database + found->audit - plain_row_bytes};
          }};
}

} // namespace sluice::bench
