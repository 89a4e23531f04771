#pragma once

#include "runtime/doctor/finding.hpp"

#include <caf/expected.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <functional>

namespace sluice::doctor {

struct examination_options {
  /// Checks indexes as well, without a time limit.
  bool deep = false;
  /// Queries the leader for its status; called only when a leader answers and the query changes nothing.
  std::function<caf::expected<nlohmann::json>()> ask_leader;
};

/// Examines the store in `root`, with or without a broker: defects, their consequences and remedies. Never writes,
/// takes no lock that others would wait for, and leaves no files. `errc::unknown_database` when the folder is missing
/// or is no store. The worst findings come first. @pre this process has no connection to the store's databases
caf::expected<findings> examine(const std::filesystem::path& root, const examination_options& options);

/// Whether no finding is worse than a note.
bool is_healthy(const findings& found) noexcept;

/// {"healthy", "findings":[{"severity", "check", "subject", "text", "advice"}]}
nlohmann::json as_json(const findings& found);

} // namespace sluice::doctor
