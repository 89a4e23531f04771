#pragma once

#include "runtime/lab/bench/bench_case.hpp"

#include <optional>

/// Figures per request of a contender, over all rounds; none where they do not apply.
namespace sluice::bench {

using usage_member = std::optional<resource_usage> measurement::*;

/// `used` is `&measurement::broker`, `clients` or `process`.
std::optional<double> cpu_us_per_request(const contender_result& contender, usage_member used);
std::optional<double> switches_per_request(const contender_result& contender, usage_member used);

/// Bytes that all processes sent to the storage layer: log, database, audit and all others.
std::optional<double> written_bytes_per_row(const contender_result& contender);

/// The median over the rounds; nothing if no round has a value.
std::optional<double> rows_per_commit_of(const contender_result& contender);
std::optional<double> fairness_of(const contender_result& contender);

} // namespace sluice::bench
