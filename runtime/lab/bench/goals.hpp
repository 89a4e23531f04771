#pragma once

#include "runtime/lab/bench/bench_case.hpp"

/// The goals of cases. Contenders are given by their places in the case.
namespace sluice::bench {

/// The rate of contender `a` is to be at least `wanted` times that of `b`.
goal rate_goal(std::string text, size_t a, size_t b, double wanted);

/// The mean time of an operation of `a` is to be at most `wanted` times that of `b`.
goal time_goal(std::string text, size_t a, size_t b, double wanted);

/// As `time_goal`, for the quantile `q` (0 to 1) of the time of an operation.
goal quantile_goal(std::string text, size_t a, size_t b, double q, double wanted);

/// The quantile `q` of the time of an operation of `a` is to be at most `wanted`.
goal time_limit_goal(std::string text, size_t a, double q, std::chrono::milliseconds wanted);

/// No request of `a` fails.
goal no_errors_goal(size_t a);

/// Context switches of the broker (of the whole process, where agents are in it) per request, and per COMMIT.
goal switches_per_request_goal(size_t a, double wanted);
goal switches_per_commit_goal(size_t a, double wanted);

/// Bytes that `a` keeps per row beyond those of the row alone.
goal stored_bytes_goal(std::string text, size_t a, double wanted);

} // namespace sluice::bench
