#pragma once

#include "runtime/lab/scenario/runner.hpp"
#include "runtime/lab/scenario/step.hpp"

#include <vector>

/// The kinds of steps, by subject. Each function makes a part of the table.
namespace sluice::scenario {

/// The maximum time of a step.
inline constexpr int64_t day_ms = 86'400'000;

inline const field db_field{"db", field_type::text, "The database: a file in the store's folder", true};

/// A kind of step that the backend runs and that is not a request.
step_kind event(std::string_view name, std::string_view about, std::vector<field> fields,
                std::vector<std::string_view> answers = {});

/// Requests of agents: the methods of the protocol.
std::vector<step_kind> request_kinds();

/// Faults: in the broker's process, on its disk, and by other programs that open the files.
std::vector<step_kind> fault_kinds();

/// Everyday events: files removed, restored and copied by other programs, clients that go away, a clock that is set.
std::vector<step_kind> file_kinds();

/// Control flow: waiting, repeating, parallel steps; checks on several answers together.
std::vector<step_kind> control_kinds();

} // namespace sluice::scenario
