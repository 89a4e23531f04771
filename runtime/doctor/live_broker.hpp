#pragma once

#include "runtime/doctor/finding.hpp"

#include <nlohmann/json_fwd.hpp>

namespace sluice::doctor {

/// Findings from the status of a running broker that need action. @param status the answer to the method `status`;
/// missing fields count as healthy
findings judge_status(const nlohmann::json& status);

} // namespace sluice::doctor
