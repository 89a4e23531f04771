#include "runtime/sqlite/files/left_log.hpp"

#include "runtime/sqlite/files/database_files.hpp"
#include "runtime/sqlite/files/vfs_file.hpp"
#include "runtime/sqlite/files/wal_index.hpp"

#include <algorithm>

namespace sluice::sqlite {

bool was_overwritten(const file_record& x, const std::filesystem::path& path) {
  if (x.closed || x.head.empty() || !x.log)
    return false;
  database_files files{path};
  auto now = files.find();
  auto is_same = now.database == x.database && now.log == x.log;
  if (!is_same || files.log_size() == 0 || (now.size == x.size && now.changed_ns == x.changed_ns))
    return false;
  auto head = read_beginning(path, database_header_bytes);
  if (!head || *head == x.head)
    return false;
  auto log = read_file(path.native() + "-wal");
  auto content = log ? read_log_content(*log) : std::nullopt;
  // Other programs that went on have begun the log anew.
  if (!content || content->round != x.round)
    return false;
  return std::find(content->headers.begin(), content->headers.end(), *head) == content->headers.end();
}

bool has_foreign_log(const file_record& x, const std::filesystem::path& path) {
  return has_log_of_another_file(x, path) || was_overwritten(x, path);
}

} // namespace sluice::sqlite
