#include "runtime/sqlite/files/damaged_files.hpp"

#include "runtime/os/system_error.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <string_view>
#include <sys/stat.h>

namespace sluice::sqlite {

namespace {

constexpr std::string_view damaged_suffix = ".damaged-";
constexpr std::string_view kept_suffix = ".kept-";

bool is_taken(const std::filesystem::path& path) noexcept {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0;
}

// `name`, with a number appended if there is such a file.
std::string free_name_for(const std::filesystem::path& folder, const std::string& name) {
  auto result = name;
  for (auto i = 2; is_taken(folder / result); ++i)
    result = fmt::format("{}-{}", name, i);
  return result;
}

// Renames the companion files, too: SQLite finds them by the name of the database.
caf::expected<void> rename_with_log(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (rename(from.c_str(), to.c_str()) != 0)
    return file_error("rename .sluice/" + from.filename().string(), errno);
  // The content of the write-ahead log belongs to the file. Without a file, the log is not renamed.
  for (const auto* suffix : {"-wal", "-shm"})
    rename((from.string() + suffix).c_str(), (to.string() + suffix).c_str());
  return caf::unit;
}

} // namespace

caf::expected<std::string> move_damaged_file(const std::filesystem::path& path, int64_t now_us) {
  auto seconds = static_cast<std::time_t>(now_us / 1'000'000);
  auto name = fmt::format("{}{}{:%Y%m%dT%H%M%SZ}", path.filename().string(), damaged_suffix, fmt::gmtime(seconds));
  auto free_name = free_name_for(path.parent_path(), name);
  if (auto done = rename_with_log(path, path.parent_path() / free_name); !done)
    return std::move(done.error());
  return free_name;
}

std::vector<std::string> find_damaged_files(const std::filesystem::path& path) {
  std::vector<std::string> result;
  std::error_code failed;
  auto prefix = path.filename().string() + std::string{damaged_suffix};
  for (std::filesystem::directory_iterator i{path.parent_path(), failed}, end; !failed && i != end;
       i.increment(failed)) {
    auto name = i->path().filename().string();
    if (name.starts_with(prefix) && !name.ends_with("-wal") && !name.ends_with("-shm"))
      result.push_back(std::move(name));
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::string acknowledged_name(const std::filesystem::path& path) {
  auto name = path.filename().string();
  auto at = name.find(damaged_suffix);
  if (at == std::string::npos)
    name += ".kept";
  else
    name.replace(at, damaged_suffix.size(), kept_suffix);
  return free_name_for(path.parent_path(), name);
}

caf::expected<std::string> acknowledge_damaged_file(const std::filesystem::path& path) {
  auto kept = acknowledged_name(path);
  if (auto done = rename_with_log(path, path.parent_path() / kept); !done)
    return std::move(done.error());
  return kept;
}

} // namespace sluice::sqlite
