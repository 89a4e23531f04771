#include "runtime/doctor/files.hpp"

#include "runtime/sqlite/files/left_log.hpp"
#include "runtime/store/file_registry.hpp"

#include <fmt/format.h>
#include <optional>
#include <set>
#include <sys/stat.h>

namespace sluice::doctor {

namespace {

namespace fs = std::filesystem;

constexpr const char* files_page = "see docs/reference/files.md";

// The files that a process has open.
struct held_files {
  // The path of the last deleted one, as /proc shows it.
  std::set<std::string> nameless;
  std::set<file_identity> all;
};

held_files files_held_by(pid_t pid) {
  constexpr std::string_view mark = " (deleted)";
  held_files result;
  std::error_code hidden;
  for (const auto& entry : fs::directory_iterator{"/proc/" + std::to_string(pid) + "/fd", hidden}) {
    std::error_code gone;
    auto name = fs::read_symlink(entry.path(), gone).string();
    if (name.ends_with(mark))
      result.nameless.insert(name.substr(0, name.size() - mark.size()));
    struct stat info {};
    if (stat(entry.path().c_str(), &info) == 0 && S_ISREG(info.st_mode))
      result.all.insert({static_cast<uint64_t>(info.st_dev), static_cast<uint64_t>(info.st_ino)});
  }
  return result;
}

// The file that the broker opened under this name; nothing if there is no record.
std::optional<file_identity> noted_file(const std::optional<file_record>& record, std::string_view suffix) {
  if (!record || suffix == "-shm")
    return std::nullopt;
  return suffix.empty() ? std::optional{record->database} : record->log;
}

void check_open_files(const fs::path& root, const std::vector<std::string>& databases, pid_t leader, findings& out) {
  auto held = files_held_by(leader);
  file_registry registry{root / ".sluice/files.json"};
  for (const auto& db : databases)
    for (const auto* suffix : {"", "-wal", "-shm"}) {
      auto file = (root / db).string() + suffix;
      auto noted = noted_file(registry.find(db), suffix);
      // A file that was moved still has a name.
      auto is_elsewhere = noted && held.all.contains(*noted) && identity_of(file) != noted;
      if (!is_elsewhere && !held.nameless.contains(file))
        continue;
      out.push_back(
        {severity::problem, "files", db,
         fmt::format("{}{} was removed, moved or replaced while the broker (process {}) has it open; the broker "
                     "notices with its next request to this database",
                     db, suffix, leader),
         fmt::format("send a request to {} before anything else happens to the broker; {}", db, files_page)});
      break;
    }
}

// Checks for files that the last broker left beside a database that has been replaced since.
void check_record(const fs::path& root, const std::string& db, const file_registry& registry, findings& out) {
  auto record = registry.find(db);
  if (record && sqlite::has_log_of_other_file(*record, root / db))
    out.push_back(
      {severity::problem, "files", db,
       fmt::format("{} was replaced or overwritten, and the write-ahead log of the old file still lies beside it", db),
       fmt::format("use it through sluice, which moves the log to .sluice/set-aside/ first; opened by "
                   "another program, the file would be damaged; {}",
                   files_page)});
}

void check_kept_logs(const fs::path& root, findings& out) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator{root / ".sluice/set-aside", none})
    out.push_back({severity::warning, "files", ".sluice/set-aside/" + entry.path().filename().string(),
                   "a write-ahead log that belongs to a file which was replaced or overwritten; it may hold commits "
                   "that are nowhere else",
                   "docs/reference/files.md says how to look into it; remove it when you do not need it"});
}

} // namespace

findings check_files(const fs::path& root, const std::vector<std::string>& databases, pid_t leader) {
  findings out;
  if (leader > 0) {
    check_open_files(root, databases, leader, out);
  } else {
    file_registry registry{root / ".sluice/files.json"};
    for (const auto& db : databases)
      check_record(root, db, registry, out);
  }
  check_kept_logs(root, out);
  if (out.empty())
    out.push_back({severity::ok, "files", "store", "the databases lie where the broker has put them"});
  return out;
}

} // namespace sluice::doctor
