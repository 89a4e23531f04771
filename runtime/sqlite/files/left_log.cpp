#include "runtime/sqlite/files/left_log.hpp"

#include "runtime/sqlite/files/database_files.hpp"
#include "runtime/sqlite/files/vfs_file.hpp"
#include "runtime/sqlite/files/wal_index.hpp"

#include <algorithm>

namespace sluice::sqlite {

bool was_overwritten(const file_record& record, const std::filesystem::path& path) {
  if (record.closed || record.head.empty() || !record.log)
    return false;
  database_files files{path};
  auto now = files.find();
  auto is_same = now.database == record.database && now.log == record.log;
  if (!is_same || files.log_size() == 0 || (now.size == record.size && now.changed_ns == record.changed_ns))
    return false;
  auto head = read_beginning(path, database_header_bytes);
  if (!head || *head == record.head)
    return false;
  auto log = read_file(path.native() + "-wal");
  auto content = log ? read_log_content(*log) : std::nullopt;
  // Other programs that continued have restarted the log.
  if (!content || content->round != record.round)
    return false;
  return std::find(content->headers.begin(), content->headers.end(), *head) == content->headers.end();
}

bool has_log_of_other_file(const file_record& record, const std::filesystem::path& path) {
  return has_log_of_another_file(record, path) || was_overwritten(record, path);
}

} // namespace sluice::sqlite
