#pragma once

#include "runtime/doctor/finding.hpp"

#include <nlohmann/json_fwd.hpp>

namespace sluice::doctor {

/// What a running broker says of itself that an operator should do something about. @param status the answer to the
/// method `status`; what is missing in it is taken for good
findings judge_status(const nlohmann::json& status);

} // namespace sluice::doctor
