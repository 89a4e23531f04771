#include "runtime/doctor/processes.hpp"

#include "actors/base/counted.hpp"
#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>

namespace sluice::doctor {

namespace {

namespace fs = std::filesystem;

constexpr size_t max_command = 80;

using file_id = std::pair<dev_t, ino_t>;

std::optional<file_id> id_of(const fs::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? std::optional{file_id{status.st_dev, status.st_ino}} : std::nullopt;
}

struct known_file {
  std::string db;
  // Only the main file's open mode tells readers from writers: readers open -wal and -shm for writing, too.
  bool is_main = false;
};

std::map<file_id, known_file> files_of(const fs::path& root, const std::vector<std::string>& databases) {
  std::map<file_id, known_file> result;
  for (const auto& db : databases)
    for (const auto* suffix : {"", "-wal", "-shm"})
      if (auto id = id_of(root / (db + suffix)))
        result.emplace(*id, known_file{db, *suffix == '\0'});
  return result;
}

// Checks the flags of open(2), which fdinfo lists in octal.
bool is_for_writing(const fs::path& process, const std::string& fd) {
  std::ifstream in{process / "fdinfo" / fd};
  std::string word;
  while (in >> word)
    if (word == "flags:" && in >> word)
      return (std::strtoul(word.c_str(), nullptr, 8) & O_ACCMODE) != O_RDONLY;
  return false;
}

// Locks are listed for the open file that they belong to, in every process that has it open.
bool has_flock(const fs::path& process, const std::string& fd) {
  std::ifstream in{process / "fdinfo" / fd};
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("lock:") && line.find(" FLOCK ") != std::string::npos)
      return true;
  return false;
}

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Calls `f` for every other process.
template <class F> void for_each_process(F f) {
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator{"/proc", failed})
    if (auto name = entry.path().filename().string(); is_number(name) && name != std::to_string(getpid()))
      f(entry.path(), static_cast<pid_t>(std::stol(name)));
}

// Returns whether this process may read its files. Kernel threads have none, and are hidden as well.
bool look_at(const fs::path& process, pid_t pid, const std::map<file_id, known_file>& files, std::vector<opener>& out) {
  std::error_code failed;
  std::map<std::string, opener> by_database;
  for (const auto& entry : fs::directory_iterator{process / "fd", failed}) {
    auto id = id_of(entry.path());
    auto found = id ? files.find(*id) : files.end();
    if (found == files.end())
      continue;
    auto& opener = by_database[found->second.db];
    opener.db = found->second.db;
    opener.writes |= found->second.is_main && is_for_writing(process, entry.path().filename());
  }
  if (failed)
    return failed == std::errc::no_such_file_or_directory;
  for (auto& [db, opener] : by_database) {
    opener.pid = pid;
    opener.command = command_of(pid);
    out.push_back(std::move(opener));
  }
  return true;
}

} // namespace

std::vector<std::vector<pid_t>> find_lock_holders(const std::vector<fs::path>& files) {
  std::vector<std::optional<file_id>> ids;
  for (const auto& file : files)
    ids.push_back(id_of(file));
  std::vector<std::vector<pid_t>> result(files.size());
  for_each_process([&](const fs::path& process, pid_t pid) {
    std::error_code hidden;
    for (const auto& entry : fs::directory_iterator{process / "fd", hidden}) {
      auto id = id_of(entry.path());
      auto found = std::find(ids.begin(), ids.end(), id);
      if (!id || found == ids.end() || !has_flock(process, entry.path().filename()))
        continue;
      auto& holders = result[static_cast<size_t>(found - ids.begin())];
      if (holders.empty() || holders.back() != pid)
        holders.push_back(pid);
    }
  });
  return result;
}

std::string command_of(pid_t pid) {
  auto folder = fs::path{"/proc"} / std::to_string(pid);
  std::ifstream in{folder / "cmdline", std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  while (!text.empty() && text.back() == '\0')
    text.pop_back();
  std::replace(text.begin(), text.end(), '\0', ' ');
  if (text.size() > max_command)
    text.resize(max_command);
  return text;
}

open_files find_openers(const fs::path& root, const std::vector<std::string>& databases) {
  open_files result;
  auto files = files_of(root, databases);
  for_each_process(
    [&](const fs::path& process, pid_t pid) { result.hidden += look_at(process, pid, files, result.openers) ? 0 : 1; });
  std::sort(result.openers.begin(), result.openers.end(),
            [](const opener& a, const opener& b) { return std::tie(a.db, a.pid) < std::tie(b.db, b.pid); });
  return result;
}

findings judge_openers(const open_files& found, pid_t leader, bool has_wal_reset_bug) {
  findings out;
  for (const auto& opener : found.openers) {
    if (opener.pid == leader)
      continue;
    auto process = fmt::format("process {} ({})", opener.pid, opener.command);
    if (!opener.writes) {
      out.push_back({severity::note, "foreign_openers", opener.db,
                     process
                       + " has it open for reading; that is fine, but as long as it reads, the write-ahead log cannot "
                         "shrink",
                     ""});
      continue;
    }
    auto text = process
                + " has it open for writing without the broker: its writes are in neither ledger nor audit, its locks "
                  "block all others, and it may move the write-ahead log";
    if (has_wal_reset_bug)
      text += "; with this SQLite (before 3.51.3) two connections that write or move the log in the same instant can "
              "lose commits";
    out.push_back({severity::warning, "foreign_openers", opener.db, std::move(text),
                   "let it go through sluice, or open the file read-only (sqlite3 -readonly, mode=ro)"});
  }
  if (out.empty())
    out.push_back({severity::ok, "foreign_openers", "store", "no process outside the broker has a database open"});
  if (found.hidden > 0)
    out.push_back({severity::note, "foreign_openers", "store",
                   fmt::format("the doctor may not see the open files of {} of other users",
                               counted(found.hidden, "process", "processes")),
                   "run the doctor as root to see them, too"});
  return out;
}

} // namespace sluice::doctor
