#pragma once

#include <nlohmann/json.hpp>

namespace sluice::scenario {

/// The JSON Schema (draft 7) of scenario files, for editors that complete and check while one types; made from the
/// table of step kinds. docs/reference/scenario.schema.json is its text.
nlohmann::ordered_json schema();

} // namespace sluice::scenario
