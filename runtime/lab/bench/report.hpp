#pragma once

#include "runtime/lab/bench/cases.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace sluice::bench {

/// Prints a case as a table: what each contender did, its ratio to the first, and the goals.
void print(std::FILE* to, case_report& report);

/// The same as JSON; latencies in microseconds.
nlohmann::json to_json(case_report& report);

} // namespace sluice::bench
