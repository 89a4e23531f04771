#pragma once

#include "runtime/doctor/processes.hpp"
#include "runtime/validate/exceptions.hpp"
#include "runtime/validate/source_tree.hpp"

#include <caf/expected.hpp>
#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sluice::validate {

/// An open call that no exception allows.
struct source_finding {
  /// Relative to the folder that is validated.
  std::string file;
  language of = language::c;
  open_call call;
};

struct validation_options {
  /// A folder of sources, or one file.
  std::filesystem::path path = ".";
  /// If empty, `.sluice-validate` in the folder, which may be missing.
  std::filesystem::path exceptions{};
  /// The root whose databases are looked for in running processes; if empty, `path` if it is a root.
  std::filesystem::path store{};
  tree_bounds bounds{};
};

/// What was found, and what was not looked at.
struct validation {
  std::vector<source_finding> sources;
  /// Processes outside the broker that have a database open.
  std::vector<doctor::opener> processes;
  /// Exceptions for paths that no open call needed, if everything was read: each would hide the next open call.
  std::vector<exception> stale;
  /// The number of open calls and processes that an exception allows.
  size_t excepted = 0;
  tree_look tree;
  /// Whether running processes were looked at.
  bool has_store = false;
  /// Processes of other users, whose files cannot be seen.
  size_t hidden_processes = 0;

  size_t findings() const noexcept { return sources.size() + processes.size() + stale.size(); }
  /// Whether all sources were read, and all processes could be looked at.
  bool is_whole() const noexcept { return tree.unread.empty() && hidden_processes == 0; }
};

/// Looks for open calls of SQLite below a folder, and for processes that have the databases of a store open. Writes
/// nothing and starts no broker. `errc::invalid_request` when a folder or the file of exceptions cannot be used,
/// `errc::unknown_database` when `store` is no store. @pre this process has no connection to the databases of the store
caf::expected<validation> validate_tree(const validation_options& options);

/// {"whole", "findings": [...], "excepted", "sources", "links", "unread": [{"path", "reason"}], "processes"}; the kind
/// of a finding is "source", "process" or "stale_exception".
nlohmann::json as_json(const validation& found);

} // namespace sluice::validate
