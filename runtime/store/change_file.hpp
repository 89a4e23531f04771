#pragma once

#include "runtime/os/file_identity.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// A text file whose first line is a snapshot of some state; each further line is a change to it. A change costs as
/// much as itself, however large the state is: the whole state is written only when the changes have become as long as
/// the snapshot.
///
/// A process that is killed leaves a file with all lines of the earlier calls, and possibly a part of the next line,
/// which readers ignore. Another process may read the file at any time. Not thread-safe.
class change_file {
public:
  explicit change_file(std::filesystem::path file) : file_(std::move(file)) {}

  /// The lines of the file, the snapshot first, each without its line feed. A last line that was not written to its end
  /// is among them: the caller finds that it cannot be read. None when there is no such file.
  std::vector<std::string> read();

  /// A line that `read` returned cannot be used, nor can those behind it: no line may be appended to them.
  void reject() noexcept { known_.reset(); }

  /// Appends `lines`, each with its line feed, with one `write`. False when the file has to be written again, with the
  /// whole state: when it is new, removed, replaced, not as this object left it, has a second name, or has more bytes
  /// of changes than its snapshot has; and when the write failed.
  bool append(std::string_view lines);

  /// Replaces the file by one with this line alone, which ends with a line feed. If that fails, the former file stays.
  void replace(std::string_view snapshot);

private:
  const std::filesystem::path file_;
  // The file as this object left it; nothing when lines must not be appended to it.
  std::optional<file_identity> known_;
  uint64_t size_ = 0;
  uint64_t snapshot_size_ = 0;
};

} // namespace sluice
