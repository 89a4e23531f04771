#pragma once

#include "messages/read.hpp"
#include "messages/write.hpp"
#include "runtime/catalogue/operation.hpp"

#include <string>

namespace sluice {

/// What a call has given: `rows` are those of the last statement that returns rows, and of a `:batch` those of all its
/// sets; `changes` counts all statements.
struct operation_outcome {
  int64_t changes = 0;
  rowset rows;
};

operation_outcome collected_outcome(operation_kind kind, const write_result& result);

/// The answer to a call as JSON text. `rows` are objects, those of the last statement that returns rows, and of a
/// `:batch` those of all its sets; `:one` has one at most. `columns` are their members in order; a name that occurs
/// again gets `_2`, `_3` and so on. `changes` counts all statements. Pure; safe from any thread.
std::string render_answer(operation_kind kind, const write_result& result, integer_form integers);
std::string render_answer(operation_kind kind, const read_result& result, integer_form integers);

} // namespace sluice
