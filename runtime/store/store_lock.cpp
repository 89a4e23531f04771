#include "runtime/store/store_lock.hpp"

#include "actors/base/retry_policy.hpp"
#include "runtime/os/system_error.hpp"
#include "runtime/store/private_folder.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <random>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <utility>

namespace sluice {

namespace {

namespace fs = std::filesystem;

constexpr retry_policy lock_pauses{.base = std::chrono::milliseconds{2}, .cap = std::chrono::milliseconds{40}};

bool is_file_at(int fd, const fs::path& path) noexcept {
  struct stat ours {
  }, theirs{};
  return fstat(fd, &ours) == 0 && lstat(path.c_str(), &theirs) == 0 && ours.st_dev == theirs.st_dev
         && ours.st_ino == theirs.st_ino;
}

caf::error cannot_lock(int code) {
  return make_error(errc::io_error, "the store cannot be locked: " + std::generic_category().message(code));
}

// Whether this process has the lock now; it is no error if another has it.
caf::expected<bool> lock_now(int fd) {
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return false;
    if (errno != EINTR)
      return cannot_lock(errno);
  }
  return true;
}

// Information for people only; no code reads it.
void leave_note(int fd, std::string_view text) noexcept {
  if (ftruncate(fd, 0) == 0 && pwrite(fd, text.data(), text.size(), 0) < 0)
    errno = 0;
}

pid_t read_note(int fd) noexcept {
  std::array<char, 24> text{};
  auto size = pread(fd, text.data(), text.size(), 0);
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + std::max<ssize_t>(size, 0), pid);
  return pid;
}

// Only the owner can have opened it. A lock can be held through any open descriptor of the file.
bool is_private(int fd) noexcept {
  struct stat info {};
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == geteuid() && (info.st_mode & 077) == 0
         && info.st_nlink <= 1;
}

// Nothing when another process has locked the file, else the file.
caf::expected<descriptor> lock_file(const store_root& root, lock_conflict& conflict) {
  auto path = root.lock_path();
  for (;;) {
    descriptor file{open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600)};
    auto code = errno;
    // It was deleted since it was looked up; the process that deleted it may be about to create it again.
    if (!file && code == ENOENT) {
      if (!root.is_in_place())
        return store_root::not_in_place();
      if (auto made = root.make_folder(); !made)
        return std::move(made.error());
      continue;
    }
    if (!file && code != EACCES)
      return file_error("create .sluice/broker.lock", code);
    if (!file || !is_private(file.get())) {
      if ((file && !is_file_at(file.get(), path)) || rename_untrusted(path))
        continue;
      return make_error(errc::not_authorized, ".sluice/broker.lock can be opened by others; delete it");
    }
    auto locked = lock_now(file.get());
    if (!locked)
      return std::move(locked.error());
    if (!*locked) {
      conflict.pid = read_note(file.get());
      conflict.by_claim = false;
      return descriptor{};
    }
    // The last leader removed it when it released the lock, or the folder was deleted: other processes would lock
    // another file.
    if (is_file_at(file.get(), path))
      return file;
  }
}

// Nothing when another broker has it, else the claim.
caf::expected<std::optional<folder_claim>> claim(const store_root& root, lock_conflict& conflict) {
  conflict.by_claim = true;
  return folder_claim::try_acquire(root.identity(), conflict.pid);
}

std::string explain(const lock_conflict& conflict) {
  auto here = "this process (pid " + std::to_string(getpid()) + ")";
  auto other = conflict.pid > 0 ? "process " + std::to_string(conflict.pid) : std::string{"another process"};
  if (conflict.is_here && conflict.by_claim)
    return here
           + " has databases of this folder open as part of another store; use the broker of that store, or shut it "
             "down first";
  if (conflict.is_here || (conflict.pid == getpid() && !conflict.by_claim))
    return here + " leads this store already; use its broker, or shut it down first";
  if (conflict.by_claim)
    return other
           + " works in this folder: as the broker of a store that the folder is a part of (use the root of that "
             "store, or stop its broker), or of this one before its .sluice/ was deleted (it ends by itself)";
  return "another process leads this store"
         + (conflict.pid > 0 ? " (pid " + std::to_string(conflict.pid) + ", as its lock file says)" : std::string{})
         + "; be its client, or end it (`sluice stop`, if it is a broker)";
}

} // namespace

caf::error busy_with(const lock_conflict& conflict, uint32_t attempts, std::chrono::milliseconds waited) {
  return make_error(errc::busy, explain(conflict),
                    {.attempts = attempts, .waited_ms = static_cast<uint32_t>(waited.count())});
}

// The lock file is taken first: it names the leader. But if `.sluice/` is deleted under a leader, the next process
// creates a lock file of its own. Two concurrent write connections suffice for SQLite's WAL-reset bug (3.7.0 to 3.51.2)
// to lose committed pages, so a leader also claims the root folder, which cannot be deleted while its databases exist,
// and each folder below it in which it opens databases.
caf::expected<std::optional<store_lock>> store_lock::try_acquire(const store_root& root, lock_conflict* to) {
  lock_conflict ignored;
  auto& conflict = to ? *to : ignored;
  conflict.is_here = is_led_here(root.identity());
  descriptor folder{open(root.path().c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!folder || identity_of(folder.get()) != root.identity())
    return store_root::not_in_place();
  auto claimed = caf::expected<std::optional<folder_claim>>{std::nullopt};
  auto is_new = !identity_of(root.folder());
  if (is_new) {
    // The claim comes before `.sluice/`: a broker that uses databases in this folder would refuse them as soon as the
    // folder has a `.sluice/`.
    claimed = claim(root, conflict);
    if (!claimed)
      return std::move(claimed.error());
    if (!*claimed)
      return std::optional<store_lock>{};
    if (auto made = root.make_folder(); !made)
      return std::move(made.error());
  }
  auto file = lock_file(root, conflict);
  // This process has the claim, so others that lock the file release it at once.
  for (auto tries = 0; is_new && file && !*file && tries < 50; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
    file = lock_file(root, conflict);
  }
  if (!file)
    return std::move(file.error());
  if (!*file)
    return std::optional<store_lock>{};
  // The system may release the lock of a killed leader a moment before the claim.
  for (auto tries = 0; !is_new && claimed && !*claimed && tries < 10; ++tries) {
    if (tries > 0)
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    claimed = claim(root, conflict);
  }
  if (!claimed)
    return std::move(claimed.error());
  if (!*claimed)
    return std::optional<store_lock>{};
  leave_note(file->get(), std::to_string(getpid()) + "\n");
  return std::optional<store_lock>{
    store_lock{root.lock_path(), std::move(*file), std::move(**claimed), std::move(folder)}};
}

caf::expected<store_lock> store_lock::acquire(const store_root& root, std::chrono::milliseconds budget) {
  using namespace std::chrono;
  backoff pauses{lock_pauses, std::random_device{}()};
  auto start = steady_clock::now();
  for (uint32_t tries = 1;; ++tries) {
    lock_conflict conflict;
    auto lock = try_acquire(root, &conflict);
    if (!lock)
      return std::move(lock.error());
    if (*lock)
      return std::move(**lock);
    auto waited = duration_cast<milliseconds>(steady_clock::now() - start);
    if (waited >= budget || conflict.is_here)
      return busy_with(conflict, tries, waited);
    std::this_thread::sleep_for(std::min(pauses.pause(tries), budget - waited));
  }
}

caf::expected<store_lock> store_lock::adopt(const store_root& root, int file_fd, int claim_fd) {
  descriptor folder{open(root.path().c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (file_fd == claim_fd || !is_file_at(file_fd, root.lock_path()) || identity_of(folder.get()) != root.identity())
    return make_error(errc::invalid_request, "the descriptors handed over are not those of this store's lock");
  // Locking again through the same open file has no effect, so this fails only if it was not locked.
  auto locked = lock_now(file_fd);
  if (!locked)
    return std::move(locked.error());
  if (!*locked)
    return busy_with({read_note(file_fd), false}, 1, std::chrono::milliseconds{0});
  if (fcntl(file_fd, F_SETFD, FD_CLOEXEC) != 0)
    return cannot_lock(errno);
  auto claim = folder_claim::adopt(root.identity(), claim_fd);
  if (!claim)
    return std::move(claim.error());
  leave_note(file_fd, std::to_string(getpid()) + "\n");
  return store_lock{root.lock_path(), descriptor{file_fd}, std::move(*claim), std::move(folder)};
}

store_lock::store_lock(fs::path path, descriptor file, folder_claim claim, descriptor folder)
  : path_(std::move(path)), file_(std::move(file)), claim_(std::move(claim)), folder_(std::move(folder)) {}

store_lock::store_lock(store_lock&&) noexcept = default;

store_lock& store_lock::operator=(store_lock&& other) noexcept {
  if (this != &other) {
    release();
    path_ = std::move(other.path_);
    file_ = std::move(other.file_);
    claim_ = std::move(other.claim_);
    folder_ = std::move(other.folder_);
  }
  return *this;
}

store_lock::~store_lock() { release(); }

void store_lock::forget() noexcept {
  file_.reset();
  claim_.forget();
  folder_.reset();
}

bool store_lock::still_ours() const noexcept { return file_ && is_file_at(file_.get(), path_); }

void store_lock::release() noexcept {
  // All copies of the descriptors share the locks: children that still have copies must not keep them.
  if (file_) {
    // Released first, so that the process that creates a new file finds the folder free.
    claim_.release();
    leave_note(file_.get(), "");
    // A process that locked the file meanwhile detects that it is no longer the one at the path, and takes a new one.
    if (still_ours())
      unlink(path_.c_str());
    flock(file_.get(), LOCK_UN);
  }
  forget();
}

} // namespace sluice
