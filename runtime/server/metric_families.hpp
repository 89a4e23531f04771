#pragma once

#include "runtime/broker/store_status.hpp"

#include <nlohmann/json_fwd.hpp>
#include <prometheus/metric_family.h>

#include <vector>

namespace sluice {

/// Converts `status` (the answer to the method `status`) to metrics with Prometheus' conventions: base units, `_total`
/// for counters. Leaves out members that are missing or have another type.
std::vector<prometheus::MetricFamily> status_families(const nlohmann::json& status);

/// Histograms of the parts of the writes' time, by database.
std::vector<prometheus::MetricFamily> timing_families(const std::vector<database_timings>& timings);

} // namespace sluice
