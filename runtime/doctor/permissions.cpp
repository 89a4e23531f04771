#include "runtime/doctor/permissions.hpp"

#include "runtime/store/private_folder.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace sluice::doctor {

namespace {

namespace fs = std::filesystem;

constexpr mode_t read_write = 06;
constexpr mode_t read_write_enter = 07;

std::optional<struct stat> look(const fs::path& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0 ? std::optional{status} : std::nullopt;
}

// The permission bits that apply to `uid`. Only the groups of this process are known.
mode_t bits_for(const struct stat& file, uid_t uid) {
  if (uid == 0)
    return read_write_enter;
  if (file.st_uid == uid)
    return (file.st_mode >> 6U) & 07U;
  return uid == geteuid() && file.st_gid == getegid() ? (file.st_mode >> 3U) & 07U : file.st_mode & 07U;
}

finding trouble(severity how_bad, std::string subject, std::string text, std::string advice) {
  return {how_bad, "permissions", std::move(subject), std::move(text), std::move(advice)};
}

void check_folder(const fs::path& root, uid_t uid, findings& out) {
  auto found = look(root);
  if (!found || (bits_for(*found, uid) & read_write_enter) != read_write_enter)
    out.push_back(trouble(severity::problem, "store",
                          "the folder may not be written by this user: no database can be "
                          "written in it, not even one that may be written itself, because "
                          "its write-ahead log lies beside it",
                          "chown or chmod the folder, or run as its owner"));
  if (found && (found->st_mode & 02U) != 0)
    out.push_back(trouble(severity::warning, "store",
                          fmt::format("the folder has the mode {:o}: every user may {}put files there, which would be "
                                      "taken for databases or their write-ahead logs",
                                      found->st_mode & 07777U,
                                      (found->st_mode & 01000U) != 0 ? "" : "replace or delete databases, and "),
                          "chmod o-w the folder"));
  else if (found && (found->st_mode & 020U) != 0)
    out.push_back(
      trouble(severity::note, "store",
              fmt::format("the folder has the mode {:o}: users of its group may replace or delete databases",
                          found->st_mode & 07777U),
              "chmod g-w the folder, unless they have to"));
}

void check_own_folder(const fs::path& folder, uid_t uid, findings& out) {
  auto found = look(folder);
  if (!found)
    return;
  if (!S_ISDIR(found->st_mode))
    return out.push_back(trouble(severity::problem, ".sluice",
                                 ".sluice is not a folder, so no process can lead this store",
                                 "remove it; the next broker makes it anew"));
  if (found->st_uid != uid)
    return out.push_back(trouble(severity::problem, ".sluice",
                                 fmt::format(".sluice/ belongs to uid {}, not to uid {}: this user cannot lead the "
                                             "store, nor talk to its broker",
                                             found->st_uid, uid),
                                 fmt::format("run sluice as uid {}, or chown the folder", found->st_uid)));
  if ((found->st_mode & 07777U) != 0700)
    out.push_back(
      trouble(severity::warning, ".sluice",
              fmt::format(".sluice/ has the mode {:o}: others may see who did what, or cannot be kept from "
                          "the socket{}",
                          found->st_mode & 07777U,
                          (found->st_mode & 022U) != 0 ? "; they may also have put files there, which the next "
                                                         "broker does not use"
                                                       : ""),
              "chmod 700 .sluice"));
}

std::vector<std::string> own_files(const fs::path& folder) {
  std::vector<std::string> result;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator{folder, failed})
    result.push_back(entry.path().filename().native());
  std::sort(result.begin(), result.end());
  return result;
}

// A folder of the broker's own in `.sluice/`.
struct own_folder {
  std::string_view name;
  // What it has, for messages.
  std::string_view content;
};

// The logs that were kept (runtime/sqlite/files/file_guard_changes.cpp), and the bearer tokens of agents
// (runtime/server/agent_token_files.hpp).
constexpr std::array own_folders{own_folder{"set-aside", "logs"}, own_folder{"tokens", "tokens"}};

void check_subfolder(const std::string& subject, const own_folder& known, const struct stat& file, uid_t uid,
                     findings& out) {
  if (file.st_uid != uid)
    out.push_back(trouble(severity::problem, subject,
                          fmt::format("{} belongs to uid {}, not to uid {}: the next broker gives it another name, and "
                                      "the {} in it with it",
                                      subject, file.st_uid, uid, known.content),
                          "check its content, then move or delete it"));
  if ((file.st_mode & 077U) != 0)
    out.push_back(trouble(
      severity::warning, subject,
      fmt::format("{} has the mode {:o}: others may read the {} in it", subject, file.st_mode & 07777U, known.content),
      "chmod 700 " + subject));
  if (uid != 0 && file.st_uid == uid && (file.st_mode & 0700U) != 0700)
    out.push_back(trouble(
      severity::problem, subject,
      fmt::format("{} may not be entered and written by its owner: no {} can be kept there", subject, known.content),
      "chmod 700 " + subject));
}

// Checks that a file of the broker belongs to this user and that others cannot read it.
void check_private(const fs::path& folder, const std::string& name, uid_t uid, findings& out) {
  auto subject = ".sluice/" + name;
  auto found = look(folder / name);
  if (!found || S_ISSOCK(found->st_mode))
    return;
  for (const auto& known : own_folders)
    if (S_ISDIR(found->st_mode) && name == known.name) {
      check_subfolder(subject, known, *found, uid, out);
      // Logs are as private as their folder; a token is also used only if nobody else can read the file.
      if (name == "tokens")
        for (const auto& token : own_files(folder / name))
          check_private(folder, name + "/" + token, uid, out);
      return;
    }
  if (!S_ISREG(found->st_mode))
    return out.push_back(trouble(severity::problem, subject, subject + " is no regular file", "remove it"));
  if (found->st_uid != uid)
    out.push_back(trouble(severity::problem, subject,
                          fmt::format("{} belongs to uid {}, not to uid {}: the next broker does not use it, and gives "
                                      "it another name",
                                      subject, found->st_uid, uid),
                          "look at it, then delete it"));
  if (found->st_nlink > 1)
    out.push_back(trouble(severity::warning, subject,
                          subject + " has another hard link, under which others may read or change it",
                          "restart the broker, which replaces it by a copy"));
  if ((found->st_mode & 077U) != 0)
    out.push_back(trouble(severity::warning, subject,
                          fmt::format("{} has the mode {:o}: others may read it, and may have it open until the next "
                                      "broker replaces it by a copy",
                                      subject, found->st_mode & 07777U),
                          "chmod 600 " + subject));
  if (uid != 0 && found->st_uid == uid && (found->st_mode & 0600U) != 0600)
    out.push_back(trouble(severity::problem, subject, subject + " may not be read and written by its owner",
                          "chmod 600 " + subject));
}

void check_database(const fs::path& root, const std::string& name, uid_t uid, findings& out) {
  for (const auto* suffix : {"", "-wal", "-shm"}) {
    auto subject = name + suffix;
    auto found = look(root / subject);
    if (found && S_ISREG(found->st_mode) && found->st_nlink > 1)
      out.push_back(trouble(
        severity::problem, name,
        fmt::format("{} has another hard link, under which another program would use it with "
                    "another write-ahead log{}",
                    subject, *suffix == '\0' ? ": requests to this database are refused as invalid_request" : ""),
        fmt::format("find the other name (find / -xdev -inum {}) and remove the one that is not "
                    "wanted",
                    found->st_ino)));
    if (!found || S_ISLNK(found->st_mode) || (bits_for(*found, uid) & read_write) == read_write)
      continue;
    out.push_back(trouble(severity::problem, name,
                          fmt::format("{} (uid {}, mode {:o}) may not be read and written by uid {}: requests to this "
                                      "database fail with not_authorized or read_only",
                                      subject, found->st_uid, found->st_mode & 0777U, uid),
                          fmt::format("chown or chmod {}; a file of another user is often left by a command that was "
                                      "run with sudo",
                                      subject)));
  }
}

// Other users can reach a file only through its folder.
bool is_reachable(const fs::path& root, mode_t bits) {
  auto found = look(root);
  constexpr mode_t enter = 011;
  return found && (found->st_mode & enter & bits) != 0;
}

void check_others(const fs::path& root, const std::string& name, findings& out) {
  auto found = look(root / name);
  if (!found || !S_ISREG(found->st_mode))
    return;
  constexpr mode_t group = 070;
  constexpr mode_t others = 07;
  mode_t open = (is_reachable(root, group) ? found->st_mode & group : 0)
                | (is_reachable(root, others) ? found->st_mode & others : 0);
  constexpr mode_t write = 022;
  constexpr mode_t read = 044;
  auto mode = fmt::format("{} has the mode {:o}", name, found->st_mode & 07777U);
  auto advice = fmt::format("chmod 600 {0} (and {0}-wal, {0}-shm), unless others have to use it", name);
  if ((open & write) != 0)
    out.push_back(trouble(severity::warning, name,
                          mode + ": other users may write it, past the broker, and keep every write waiting", advice));
  else if ((open & read) != 0)
    out.push_back(trouble(severity::note, name,
                          mode + ": other users may read it, and by a lock on its -shm keep every write waiting",
                          advice));
}

} // namespace

findings check_permissions(const fs::path& root, const std::vector<std::string>& databases, uid_t uid) {
  findings out;
  check_folder(root, uid, out);
  check_own_folder(root / ".sluice", uid, out);
  for (const auto& name : own_files(root / ".sluice")) {
    if (name.find(untrusted_suffix) == std::string::npos)
      check_private(root / ".sluice", name, uid, out);
    else
      out.push_back(
        trouble(severity::warning, ".sluice/" + name,
                ".sluice/" + name
                  + " was in reach of other users, so a broker took it out of use; what it acknowledged is in "
                    "the ledgers all the same",
                "look at it, find out who could write in .sluice/, then delete it"));
  }
  for (const auto& name : databases) {
    check_database(root, name, uid, out);
    check_others(root, name, out);
  }
  if (out.empty())
    out.push_back(
      {severity::ok, "permissions", "store", "the user can write, and other users cannot read private files"});
  return out;
}

} // namespace sluice::doctor
