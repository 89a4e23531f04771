#include "runtime/sqlite/files/database_files.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <fcntl.h>
#include <linux/magic.h>
#include <new>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <utility>

namespace sluice::sqlite {

namespace {

constexpr int64_t second_ns = 1'000'000'000;
constexpr int64_t max_pause_ns = second_ns / 10;
constexpr decltype(statfs::f_type) xfs_magic = 0x58465342;

// Reads no times of the log and the index, as `identity_of`.
constexpr unsigned int database_members = STATX_TYPE | STATX_INO | STATX_NLINK | STATX_SIZE | STATX_MTIME;
constexpr unsigned int companion_members = STATX_INO;

int64_t ns_of(const statx_timestamp& time) noexcept { return time.tv_sec * second_ns + time.tv_nsec; }

std::optional<struct statx> look_up(int folder, const char* path, unsigned int members) noexcept {
  struct statx info {};
  if (statx(folder, path, AT_SYMLINK_NOFOLLOW, members, &info) != 0)
    return std::nullopt;
  return info;
}

std::optional<file_identity> identity_in(const std::optional<struct statx>& file) noexcept {
  if (!file)
    return std::nullopt;
  return file_identity{makedev(file->stx_dev_major, file->stx_dev_minor), file->stx_ino};
}

void set_database(found_files& to, const std::optional<struct statx>& file) noexcept {
  to.database = identity_in(file);
  if (!file)
    return;
  to.size = file->stx_size;
  to.changed_ns = ns_of(file->stx_mtime);
  // A folder is refused later; its link count says nothing.
  to.links = S_ISREG(file->stx_mode) ? file->stx_nlink : 1;
}

// The last change of the folder's entries; nothing if it is unknown.
std::optional<int64_t> change_of(int folder) noexcept {
  struct statx info {};
  if (statx(folder, "", AT_EMPTY_PATH, STATX_CTIME, &info) != 0)
    return std::nullopt;
  return ns_of(info.stx_ctime);
}

// Reads the time without a system call. The system takes the times of files from the same clock, or from a finer one.
int64_t system_time_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return now.tv_sec * second_ns + now.tv_nsec;
}

bool reports_changes(int folder) noexcept {
  constexpr std::array known{decltype(statfs::f_type){EXT4_SUPER_MAGIC}, xfs_magic,
                             decltype(statfs::f_type){BTRFS_SUPER_MAGIC}, decltype(statfs::f_type){TMPFS_MAGIC}};
  struct statfs info {};
  return fstatfs(folder, &info) == 0 && std::find(known.begin(), known.end(), info.f_type) != known.end();
}

std::filesystem::path folder_of(const std::filesystem::path& database) {
  auto folder = database.parent_path();
  return folder.empty() ? "." : folder;
}

} // namespace

database_files::database_files(std::filesystem::path database, size_t folders, duration quiet_time)
  : database_(std::move(database)), log_(database_.native() + "-wal"), index_(database_.native() + "-shm"),
    folder_(folder_of(database_)), quiet_time_(quiet_time) {
  for (auto folder = folder_; folders > 0; --folders, folder = folder.parent_path())
    folders_.push_back(folder);
}

// Whether each folder of the name is still a folder, and not a link.
bool database_files::lies_in_folders() const noexcept {
  return std::all_of(folders_.begin(), folders_.end(), [](const std::filesystem::path& folder) {
    auto found = look_up(AT_FDCWD, folder.c_str(), STATX_TYPE);
    return found && S_ISDIR(found->stx_mode);
  });
}

found_files database_files::find() noexcept {
  found_files result;
  auto found = lies_in_folders() ? look_up(AT_FDCWD, database_.c_str(), database_members) : std::nullopt;
  set_database(result, found);
  auto has_one_link = found && found->stx_nlink == 1;
  auto known = has_one_link ? quiet() : nullptr;
  // The folder is checked last: the known entries are valid at this moment, and so is the result for the database.
  if (known && known->files.database == result.database && change_of(known->folder.get()) == known->changed_ns) {
    result.log = known->files.log;
    result.index = known->files.index;
    return result;
  }
  if (known)
    forget();
  result.log = identity_of(log_);
  result.index = identity_of(index_);
  if (has_one_link)
    remember_folder(result);
  return result;
}

uint64_t database_files::log_size() const noexcept {
  auto found = look_up(AT_FDCWD, log_.c_str(), STATX_SIZE);
  return found ? found->stx_size : 0;
}

int64_t database_files::log_changed_ns() const noexcept {
  auto found = look_up(AT_FDCWD, log_.c_str(), STATX_MTIME);
  return found ? ns_of(found->stx_mtime) : 0;
}

bool database_files::relies_on_folder() const noexcept { return quiet() != nullptr; }

void database_files::forget() noexcept {
  std::shared_ptr<const quiet_folder> old;
  std::lock_guard guard{mutex_};
  old.swap(quiet_);
}

std::shared_ptr<const database_files::quiet_folder> database_files::quiet() const noexcept {
  std::lock_guard guard{mutex_};
  return quiet_;
}

void database_files::remember_folder(const found_files& found) noexcept {
  auto now = system_time_ns();
  {
    std::lock_guard guard{mutex_};
    // Tolerates a clock that was set back.
    if (now < next_folder_check_ns_ && next_folder_check_ns_ - now <= max_pause_ns)
      return;
    next_folder_check_ns_ = now + std::min<int64_t>(max_pause_ns, quiet_time_.count());
  }
  try {
    auto made = open_quiet_folder(found);
    std::lock_guard guard{mutex_};
    quiet_ = std::move(made);
  } catch (const std::bad_alloc&) {
    // Without the memory, every file is looked up.
  }
}

// Nothing if the folder has changed recently, or its file system does not record changes.
std::shared_ptr<const database_files::quiet_folder> database_files::open_quiet_folder(const found_files& found) const {
  auto result = std::make_shared<quiet_folder>();
  result->folder.reset(open(folder_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  auto folder = result->folder.get();
  auto changed = folder >= 0 ? change_of(folder) : std::nullopt;
  // Whole seconds come from a file system that stores no finer times.
  if (!changed || *changed % second_ns == 0 || system_time_ns() - *changed < quiet_time_.count()
      || !reports_changes(folder))
    return nullptr;
  result->changed_ns = *changed;
  auto look_up_here = [&](const std::filesystem::path& file, unsigned int members) {
    return look_up(folder, file.filename().c_str(), members);
  };
  auto database = look_up_here(database_, database_members);
  set_database(result->files, database);
  result->files.log = identity_in(look_up_here(log_, companion_members));
  result->files.index = identity_in(look_up_here(index_, companion_members));
  auto is_same =
    result->files.database == found.database && result->files.log == found.log && result->files.index == found.index;
  return is_same && database->stx_nlink == 1 ? result : nullptr;
}

} // namespace sluice::sqlite
