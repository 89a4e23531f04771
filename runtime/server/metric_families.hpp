#pragma once

#include "runtime/broker/store_status.hpp"

#include <nlohmann/json_fwd.hpp>
#include <prometheus/metric_family.h>

#include <vector>

namespace sluice {

/// The metrics in `status` (the answer to the method `status`) in Prometheus' conventions: base units, `_total` for
/// counters. Members that are missing or have another type are left out.
std::vector<prometheus::MetricFamily> status_families(const nlohmann::json& status);

/// Histograms of where the time of writes went, by database.
std::vector<prometheus::MetricFamily> timing_families(const std::vector<database_timings>& timings);

} // namespace sluice
