#include "runtime/store/private_folder.hpp"

#include "runtime/os/descriptor.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace sluice {

namespace {

namespace fs = std::filesystem;

constexpr std::array companions{"-wal", "-shm", "-journal"};
constexpr size_t block_bytes = size_t{1} << 20;

fs::path with_suffix(fs::path path, std::string_view suffix) { return path += suffix; }

bool is_companion(std::string_view name) {
  return std::any_of(companions.begin(), companions.end(), [&](const char* suffix) { return name.ends_with(suffix); });
}

std::optional<struct stat> look_up(const fs::path& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 ? std::optional{info} : std::nullopt;
}

// Returns 0 or an errno.
int copy_bytes(int from, int to) {
  std::string block(block_bytes, '\0');
  for (;;) {
    auto count = read(from, block.data(), block.size());
    if (count < 0 && errno != EINTR)
      return errno;
    if (count == 0)
      return fsync(to) == 0 ? 0 : errno;
    for (ssize_t done = 0; done < count;) {
      auto written = write(to, block.data() + done, static_cast<size_t>(count - done));
      if (written < 0 && errno != EINTR)
        return errno;
      done += std::max<ssize_t>(written, 0);
    }
  }
}

// Replaces the file by a copy, which no other process has open. Returns 0 or an errno.
int replace_by_copy(const fs::path& path) {
  auto draft = with_suffix(path, ".private");
  unlink(draft.c_str());
  descriptor from{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  descriptor to{open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!from || !to)
    return errno;
  auto failed = copy_bytes(from.get(), to.get());
  if (failed == 0 && rename(draft.c_str(), path.c_str()) != 0)
    failed = errno;
  if (failed != 0)
    unlink(draft.c_str());
  return failed;
}

class folder_inspection {
public:
  explicit folder_inspection(const store_root& root) : root_(root) {}

  std::vector<std::string> run() {
    std::error_code failed;
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator{root_.folder(), failed})
      files.push_back(entry.path());
    // Sorted so that a database comes before its companion files, which are treated like it.
    std::sort(files.begin(), files.end());
    for (const auto& path : files)
      look_at(path);
    return std::move(notices_);
  }

private:
  void look_at(const fs::path& path) {
    auto info = look_up(path);
    auto name = path.filename().native();
    if (!info || path == root_.lock_path() || name.find(untrusted_suffix) != std::string::npos)
      return;
    if (info->st_uid != geteuid())
      return rename_file(path, "belongs to uid " + std::to_string(info->st_uid));
    if (!S_ISREG(info->st_mode) || ((info->st_mode & 077) == 0 && info->st_nlink <= 1))
      return;
    std::string reason = info->st_nlink > 1 ? "has another hard link" : "could be opened by others";
    // The broker's databases use write-ahead logs. SQLite would roll a rollback journal of any origin back into one.
    if (name == "token" || name.ends_with("-journal"))
      return rename_file(path, reason);
    if (name.ends_with("-shm") || path == root_.info_path())
      return remove(path, reason);
    copy(path, reason);
  }

  void rename_file(const fs::path& path, const std::string& reason) {
    auto renamed = rename_untrusted(path);
    say(path, reason
                + (renamed ? ": it is not used, and now has the name " + renamed->filename().native()
                           : ", and cannot be renamed: delete it"));
  }

  // Removes a file that the broker creates anew in any case.
  void remove(const fs::path& path, const std::string& reason) {
    if (unlink(path.c_str()) != 0)
      say(path, reason + ", and cannot be removed: delete it");
  }

  void copy(const fs::path& path, const std::string& reason) {
    auto failed = replace_by_copy(path);
    if (failed != 0)
      fchmodat(AT_FDCWD, path.c_str(), 0600, 0);
    say(path, reason
                + (failed == 0 ? ": a private copy has taken its place"
                               : ", and cannot be copied (" + std::generic_category().message(failed)
                                   + "): its mode is 600 now, but others may still have it open"));
  }

  void say(const fs::path& path, const std::string& text) {
    notices_.push_back(".sluice/" + path.filename().native() + " " + text);
  }

  const store_root& root_;
  std::vector<std::string> notices_;
};

} // namespace

std::optional<fs::path> rename_untrusted(const fs::path& path) {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  auto us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  auto renamed = with_suffix(path, std::string{untrusted_suffix} + std::to_string(us));
  if (look_up(renamed) || rename(path.c_str(), renamed.c_str()) != 0)
    return std::nullopt;
  if (!is_companion(path.native()))
    for (const auto* suffix : companions)
      rename(with_suffix(path, suffix).c_str(), with_suffix(renamed, suffix).c_str());
  return renamed;
}

std::vector<std::string> secure_own_files(const store_root& root) { return folder_inspection{root}.run(); }

} // namespace sluice
