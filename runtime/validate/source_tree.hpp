#pragma once

#include "runtime/validate/open_calls.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace sluice::validate {

/// Bounds of a look at sources. What lies beyond one is reported, not skipped in silence.
struct tree_bounds {
  uint64_t file_bytes = 10U << 20U;
  /// Files and folders together, of any kind.
  size_t entries = 1'000'000;
  size_t depth = 100;
};

/// A part of the tree that was not read.
struct unread_path {
  /// Relative to the folder of the look; `.` is that folder itself.
  std::string path;
  std::string reason;
};

struct tree_look {
  /// The sources that were read.
  size_t sources = 0;
  /// Symbolic links, which are not followed.
  size_t links = 0;
  /// In the order of the look; empty if everything was read.
  std::vector<unread_path> unread;
};

/// Is called for each source: its path relative to the root, and what opens SQLite in it.
using source_visitor = std::function<void(const std::string& path, language of, std::vector<open_call> found)>;

/// Reads the sources below `root`, or the single file `root`, and calls `visit` for those that open SQLite, ordered by
/// path. Folders with such a name are not entered. Follows no symbolic links but `root`.
tree_look look_at_tree(const std::filesystem::path& root, const std::vector<std::string>& ignored_folders,
                       const tree_bounds& bounds, const source_visitor& visit);

/// The names of folders that are never read: those of version control, builds and installed packages.
const std::vector<std::string>& usually_ignored_folders();

} // namespace sluice::validate
