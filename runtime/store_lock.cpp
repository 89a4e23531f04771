#include "runtime/store_lock.hpp"

#include "actors/retry_policy.hpp"
#include "runtime/system_error.hpp"

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

// Whether the lock is ours now; another's is no error.
caf::expected<bool> lock_now(int fd) {
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return false;
    if (errno != EINTR)
      return cannot_lock(errno);
  }
  return true;
}

// For people only: nothing is decided by it.
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

caf::error led_by_another(pid_t holder, uint32_t attempts, std::chrono::milliseconds waited) {
  failure x;
  x.code = errc::busy;
  x.message = holder == getpid() ? "this process leads this store already" : "another process leads this store";
  if (holder > 0 && holder != getpid())
    x.message += " (pid " + std::to_string(holder) + ", by its own account)";
  x.attempts = attempts;
  x.waited_ms = static_cast<uint32_t>(waited.count());
  return make_error(std::move(x));
}

} // namespace

// One try; `holder` is what the other one wrote if it has the lock, 0 when that is not known.
//
// The file says who leads, and comes first. But it lies in `.sluice/`, and if that is deleted under a leader the next
// process makes a file of its own. Two write connections at once is all that SQLite's WAL-reset bug (3.7.0 to 3.51.2)
// needs to lose committed pages, so a leader also locks the root folder, which cannot go away while its databases
// exist.
caf::expected<std::optional<store_lock>> store_lock::attempt(const store_root& root, pid_t& holder) {
  auto path = root.lock_path();
  for (;;) {
    descriptor file{open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!file && errno == ENOENT) {
      if (auto again = store_root::open(root.path()); !again)
        return std::move(again.error());
      continue;
    }
    if (!file)
      return cannot_make(".sluice/broker.lock", errno);
    auto locked = lock_now(file.get());
    if (!locked)
      return std::move(locked.error());
    if (!*locked) {
      holder = read_note(file.get());
      return std::optional<store_lock>{};
    }
    // The last leader removed it as it let go, or someone deleted the folder: then others will lock another file.
    if (!is_file_at(file.get(), path))
      continue;
    descriptor folder{open(root.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!folder)
      return cannot_lock(errno);
    store_lock result{std::move(path), std::move(file), std::move(folder)};
    locked = lock_now(result.folder_fd());
    if (!locked)
      return std::move(locked.error());
    if (!*locked)
      return std::optional<store_lock>{};
    leave_note(result.file_fd(), std::to_string(getpid()) + "\n");
    return std::optional<store_lock>{std::move(result)};
  }
}

caf::expected<std::optional<store_lock>> store_lock::try_acquire(const store_root& root) {
  pid_t holder = 0;
  return attempt(root, holder);
}

caf::expected<store_lock> store_lock::acquire(const store_root& root, std::chrono::milliseconds budget) {
  using namespace std::chrono;
  backoff pauses{lock_pauses, std::random_device{}()};
  auto start = steady_clock::now();
  for (uint32_t tries = 1;; ++tries) {
    pid_t holder = 0;
    auto lock = attempt(root, holder);
    if (!lock)
      return std::move(lock.error());
    if (*lock)
      return std::move(**lock);
    auto waited = duration_cast<milliseconds>(steady_clock::now() - start);
    if (waited >= budget)
      return led_by_another(holder, tries, waited);
    std::this_thread::sleep_for(std::min(pauses.pause(tries), budget - waited));
  }
}

caf::expected<store_lock> store_lock::adopt(const store_root& root, int file_fd, int folder_fd) {
  if (file_fd == folder_fd || !is_file_at(file_fd, root.lock_path()) || !is_file_at(folder_fd, root.path()))
    return make_error(errc::invalid_request, "the descriptors handed over are not those of this store's lock");
  // Locking again what is locked through the same open file changes nothing, so this fails only if it was not locked.
  for (auto fd : {file_fd, folder_fd}) {
    auto locked = lock_now(fd);
    if (!locked)
      return std::move(locked.error());
    if (!*locked)
      return led_by_another(read_note(file_fd), 1, std::chrono::milliseconds{0});
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
      return cannot_lock(errno);
  }
  leave_note(file_fd, std::to_string(getpid()) + "\n");
  return store_lock{root.lock_path(), descriptor{file_fd}, descriptor{folder_fd}};
}

store_lock::store_lock(fs::path path, descriptor file, descriptor folder)
  : path_(std::move(path)), file_(std::move(file)), folder_(std::move(folder)), owner_(getpid()) {}

store_lock::store_lock(store_lock&&) noexcept = default;

store_lock& store_lock::operator=(store_lock&& other) noexcept {
  if (this != &other) {
    release();
    path_ = std::move(other.path_);
    file_ = std::move(other.file_);
    folder_ = std::move(other.folder_);
    owner_ = other.owner_;
  }
  return *this;
}

store_lock::~store_lock() { release(); }

void store_lock::forget() noexcept {
  file_.reset();
  folder_.reset();
}

bool store_lock::still_ours() const noexcept { return file_ && is_file_at(file_.get(), path_); }

void store_lock::release() noexcept {
  // The locks are one for all copies of the descriptors, so a forked child must not undo them, and children that still
  // have copies must not keep them.
  if (file_ && owner_ == getpid()) {
    // The folder first, so that whoever makes a new file finds it free.
    flock(folder_.get(), LOCK_UN);
    leave_note(file_.get(), "");
    // Whoever locked the file meanwhile sees that it is no longer the one at the path, and takes a new one.
    if (still_ours())
      unlink(path_.c_str());
    flock(file_.get(), LOCK_UN);
  }
  forget();
}

} // namespace sluice
