#include "runtime/sqlite/files/file_permissions.hpp"

#include "runtime/os/system_error.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::sqlite {

void make_private(const std::filesystem::path& path) noexcept {
  auto fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0)
    ::close(fd);
  // An existing file is not opened: closing it would drop the locks of this process's connections to it.
  struct stat info {};
  if (fd < 0 && lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & 077) != 0)
    static_cast<void>(fchmodat(AT_FDCWD, path.c_str(), 0600, AT_SYMLINK_NOFOLLOW));
}

namespace {

bool is_taken(const std::filesystem::path& path) noexcept {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0;
}

// `name`, or with a number behind it if there is such a file.
std::string free_name_for(const std::filesystem::path& folder, const std::string& name) {
  auto result = name;
  for (auto i = 2; is_taken(folder / result); ++i)
    result = fmt::format("{}-{}", name, i);
  return result;
}

// The files of a database go by its name.
caf::expected<void> rename_with_log(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (rename(from.c_str(), to.c_str()) != 0)
    return cannot_make("the new name of a damaged file", errno);
  // The content of the write-ahead log belongs to the file; without a file there is none.
  for (const auto* suffix : {"-wal", "-shm"})
    rename((from.string() + suffix).c_str(), (to.string() + suffix).c_str());
  return caf::unit;
}

} // namespace

caf::expected<std::string> set_file_aside(const std::filesystem::path& path, int64_t now_us) {
  auto seconds = static_cast<std::time_t>(now_us / 1'000'000);
  auto name = fmt::format("{}.damaged-{:%Y%m%dT%H%M%SZ}", path.filename().string(), fmt::gmtime(seconds));
  auto free_name = free_name_for(path.parent_path(), name);
  if (auto done = rename_with_log(path, path.parent_path() / free_name); !done)
    return std::move(done.error());
  return free_name;
}

std::vector<std::string> files_set_aside(const std::filesystem::path& path) {
  std::vector<std::string> result;
  std::error_code failed;
  auto prefix = path.filename().string() + ".damaged-";
  for (std::filesystem::directory_iterator i{path.parent_path(), failed}, end; !failed && i != end;
       i.increment(failed)) {
    auto name = i->path().filename().string();
    if (name.starts_with(prefix) && !name.ends_with("-wal") && !name.ends_with("-shm"))
      result.push_back(std::move(name));
  }
  std::sort(result.begin(), result.end());
  return result;
}

caf::expected<std::string> acknowledge_file(const std::filesystem::path& path) {
  auto name = path.filename().string();
  auto at = name.find(".damaged-");
  auto kept =
    free_name_for(path.parent_path(), at == std::string::npos ? name + ".kept" : name.replace(at, 9, ".kept-"));
  if (auto done = rename_with_log(path, path.parent_path() / kept); !done)
    return std::move(done.error());
  return kept;
}

caf::expected<int64_t> read_number(const connection& db, std::string_view sql) {
  auto stmt = prepared_statement::prepare(db, sql);
  if (!stmt)
    return std::move(stmt.error());
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  return stmt->integer(0);
}

caf::expected<void> exec_atomically(connection& db, const char* sql) {
  auto done = db.exec("BEGIN IMMEDIATE");
  if (done)
    done = db.exec(sql);
  if (done)
    done = db.exec("COMMIT");
  if (!done && db.in_transaction())
    static_cast<void>(db.exec("ROLLBACK"));
  return done;
}

} // namespace sluice::sqlite
