#pragma once

#include "runtime/lab/scenario/expectation.hpp"
#include "runtime/lab/scenario/fields.hpp"
#include "runtime/lab/scenario/source.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json.hpp>

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::scenario {

class runner;
struct step;

/// The counts of the repeats that a step is in, by name.
using counts = std::map<std::string, int64_t>;

/// The failed expectations; empty if there are none.
using verdict = std::vector<complaint>;

using on_answer = std::function<void(caf::expected<nlohmann::json>)>;
using on_verdict = std::function<void(verdict)>;

/// A kind of step. To add one, describe it in one of the kinds_*.cpp and name it in kinds.cpp; the parser, the schema
/// for editors and the tests of the documentation follow from the table.
struct step_kind {
  /// The member of a step that selects this kind.
  std::string_view name;
  std::string_view about;
  std::vector<field> fields;
  /// The field that a plain value stands for.
  std::string_view short_for = {};
  /// The fields of an answer that `expect` may name; if empty, the kind takes no `expect`.
  std::vector<std::string_view> answers = {};
  /// Whether it is the request of an agent; `signs` tells whether `agent` is one of its fields in the protocol.
  bool by_agent = false;
  bool signs = false;
  /// Whether a backend must declare that it can run the kind.
  bool needs_backend = false;
  /// Throws `mistake` for errors beyond those of single fields; may be null.
  void (*check)(const node& fields) = nullptr;

  /// Runs the step and answers; a step with nested steps starts them.
  void (*run)(runner& in, const step& step, nlohmann::json fields, on_answer done) = nullptr;
  void (*run_steps)(runner& in, const step& step, const counts& at, on_verdict done) = nullptr;
};

/// All kinds, in the order of the documentation.
std::span<const step_kind> step_kinds();

/// The kind of that name; null if there is none.
const step_kind* find_kind(std::string_view name);

/// One step of a scenario. Plain data.
struct step {
  const step_kind* kind = nullptr;
  place at;
  std::string agent;
  /// A map of the fields that are not steps.
  node fields;
  std::vector<step> steps;
  /// A map; null if there is none, and then the step must succeed.
  node expect;
  /// The name under which its answer is kept; empty if it is not kept.
  std::string label;
};

/// For people: "the write by alice".
std::string title_of(const step& step);

} // namespace sluice::scenario
