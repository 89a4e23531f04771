#pragma once

#include "runtime/lab/bench/bench_case.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace sluice::bench {

/// Prints a case as a table: the figures of each contender, the ratios and the goals.
void print(std::FILE* to, const case_result& one_case);

/// The figures of a case as JSON. Times are in microseconds; figures that a contender does not have are null.
nlohmann::json to_json(const case_result& one_case);

/// Three sentences: where sluice is faster than direct SQLite, where it is slower, and how the goals stand.
std::string summary_of(const std::vector<case_result>& all);

} // namespace sluice::bench
