#pragma once

#include "runtime/lab/bench/measurement.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sluice::bench {

/// One round of one contender.
struct bench_round {
  std::chrono::milliseconds duration;
  /// The measurements of the contenders that ran before this one in the same round.
  const std::vector<measurement>& before;
};

/// An open contender: each call runs one round. Its files and processes are closed when it is destroyed.
using session = std::function<measurement(const bench_round&)>;

enum class contender_kind : uint8_t {
  /// Uses sluice, with all features on unless the name of the contender says otherwise.
  sluice,
  /// Uses SQLite directly, as programs without sluice do.
  direct,
  /// An upper bound: the best rate of SQLite or of a socket, with fewer guarantees than sluice gives, or fewer than a
  /// program needs.
  bound,
};

const char* to_string(contender_kind kind) noexcept;

/// One way to do the work of a case.
struct contender {
  /// Equal for all sizes of a case, so that a plot can connect them.
  std::string name;
  contender_kind kind = contender_kind::sluice;
  /// Opens the contender in an empty folder, which outlives the session.
  std::function<session(const std::filesystem::path& folder)> open;
  /// Whether its rows stay in the database, so that the growth of the files per row is known.
  bool stores_rows = false;
  /// Errors of direct SQLite ("database is locked") are a result. Those of anything else fail the case.
  bool may_fail() const noexcept { return kind == contender_kind::direct; }
};

/// Growth of the files from the time a contender was opened to the time it was closed, with its log moved into the
/// database; bytes per row.
struct stored_bytes {
  double database = 0;
  double audit = 0;
};

struct contender_result {
  std::string name;
  contender_kind kind = contender_kind::sluice;
  std::vector<measurement> rounds;
  std::optional<stored_bytes> stored;

  /// Medians over the rounds.
  double per_second() const;
  double mean_us() const;
  double median(const std::function<double(const measurement&)>& of) const;
  uint64_t errors() const;
  /// The latencies of all rounds, sorted.
  std::vector<float> latencies() const;
};

/// Values of the rounds: their median, and the spread.
struct spread {
  double median = 0;
  double min = 0;
  double max = 0;
};

spread spread_of(std::vector<double> values);

struct case_result;

/// A bound that the results of a case are expected to meet.
struct goal {
  std::string text;
  double wanted = 0;
  /// Whether less is better, as with times.
  bool is_upper_bound = false;
  /// One value per round, or one in all; none if it is not known.
  std::function<std::vector<double>(const case_result&)> values;
  /// The unit of the values, as `ms`; empty for numbers and ratios.
  std::string unit{};
};

struct goal_result {
  std::string text;
  spread got;
  double wanted = 0;
  bool is_upper_bound = false;
  std::string unit;

  bool is_met() const { return is_upper_bound ? got.median <= wanted : got.median >= wanted; }
};

/// The ratio of a contender's rate to the rate of another one in the same round.
struct rate_ratio {
  std::string contender;
  std::string reference;
  contender_kind reference_kind = contender_kind::direct;
  spread got;
};

/// The same work, done in several ways.
struct bench_case {
  /// The name on the command line of `sluice bench`.
  std::string name;
  std::string title;
  /// Cases of a family differ in their size alone: a plot has a line per contender over the sizes. Empty for a case
  /// without a plot.
  std::string family;
  size_t size = 0;
  /// The unit of the size, in the plural, as "rows".
  std::string size_label;
  /// The ways to do the work; those of sluice come first.
  std::vector<contender> contenders;
  std::vector<goal> goals;
};

struct case_result {
  std::string name;
  std::string title;
  std::string family;
  size_t size = 0;
  std::string size_label;
  std::vector<contender_result> contenders;
  std::vector<rate_ratio> ratios;
  std::vector<goal_result> goals;
  /// The reason why the figures are invalid: requests failed, or a contender could not run. Empty if they are valid.
  std::string failure;
};

} // namespace sluice::bench
