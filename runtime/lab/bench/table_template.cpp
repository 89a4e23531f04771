#include "runtime/lab/bench/table_template.hpp"

#include <fmt/format.h>

namespace sluice::bench {

void table_template::copy_to(const std::filesystem::path& folder) {
  if (!folder_) {
    folder_.emplace(folder.parent_path());
    fill(folder_->path() / items_file);
  }
  std::filesystem::copy_file(folder_->path() / items_file, folder / items_file);
  sync_file(folder / items_file);
}

void table_template::fill(const std::filesystem::path& file) const {
  auto db = open_raw(file, std::chrono::milliseconds{0});
  // Not in WAL mode: the log would have as many bytes as the table.
  must(db.exec("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY"));
  must(
    db.exec(fmt::format("INSERT INTO items (agent, body) WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + "
                        "1 FROM numbers WHERE i < {}) SELECT i, '{}' FROM numbers",
                        rows_, row_body)
              .c_str()));
  must(db.exec("PRAGMA journal_mode = WAL"));
}

contender on_copy_of(const std::shared_ptr<table_template>& table, contender base) {
  base.open = [table, open = std::move(base.open)](const std::filesystem::path& folder) {
    table->copy_to(folder);
    return open(folder);
  };
  return base;
}

} // namespace sluice::bench
