#pragma once

#include "runtime/lab/bench/bench_fixture.hpp"

#include <optional>

namespace sluice::bench {

/// A database with the table of the cases and many rows in it. It is made once, beside the folder of the first
/// contender that needs it, and copied for each: to copy a file is several times faster than to fill a table. The file
/// is removed at the end.
class table_template {
public:
  explicit table_template(size_t rows) : rows_(rows) {}

  size_t rows() const noexcept { return rows_; }

  /// Makes `folder / items_file`, and waits until it is on the disk.
  void copy_to(const std::filesystem::path& folder);

private:
  void fill(const std::filesystem::path& file) const;

  size_t rows_;
  std::optional<scratch_folder> folder_;
};

/// `base` in a folder with a copy of `table`.
contender on_copy_of(const std::shared_ptr<table_template>& table, contender base);

} // namespace sluice::bench
