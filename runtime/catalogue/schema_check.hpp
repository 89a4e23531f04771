#pragma once

#include "runtime/catalogue/catalogue.hpp"
#include "runtime/store/store_root.hpp"

#include <string>
#include <vector>

namespace sluice {

/// Whether an operation fits the schema of its database.
struct schema_verdict {
  enum class state : uint8_t {
    fits,
    does_not_fit,
    /// Its database does not exist yet or cannot be opened, or the operation changes the schema itself, so that what
    /// follows cannot be prepared.
    not_checked,
  };

  sluice::schema_verdict::state state = state::not_checked;
  /// For people; empty if it fits. Begins with `FILE:LINE: ` if a statement is the reason.
  std::string reason;
};

constexpr std::string_view to_string(enum schema_verdict::state state) {
  constexpr std::array<std::string_view, 3> words{"fits", "does_not_fit", "not_checked"};
  return words[static_cast<size_t>(state)];
}

/// Prepares the statements of all operations, each on its database in `root`, and executes none: names of tables,
/// columns and functions, what a request may not hold, whether an operation writes that is taken for one that reads,
/// and the names of the columns if there are `column` lines. Creates no file.
/// @return one for each of the operations, in their order
///
/// Safe from any thread; blocks in the file system.
std::vector<schema_verdict> check_against_schema(const catalogue& operations, const store_root& root);

} // namespace sluice
