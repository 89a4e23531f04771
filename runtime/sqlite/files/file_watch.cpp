#include "runtime/sqlite/files/file_watch.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::sqlite {

void file_watch::note() noexcept {
  file_ = identity_of(path_);
  log_ = identity_of(log_path_);
}

uint64_t file_watch::bytes_in(const std::filesystem::path& path) noexcept {
  struct statx info {};
  // Reads no times, as `identity_of`.
  return statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_SIZE, &info) == 0 ? info.stx_size : 0;
}

bool file_watch::moved() const noexcept { return identity_of(path_) != file_; }

bool file_watch::log_moved() noexcept {
  auto now = identity_of(log_path_);
  // A connection that has not read yet has no log.
  if (!log_)
    log_ = now;
  return now != log_;
}

void file_watch::remove_stale_log() {
  if (!log_ || identity_of(log_path_) != log_)
    return;
  unlink(log_path_.c_str());
  unlink((path_.native() + "-shm").c_str());
}

} // namespace sluice::sqlite
