#include "runtime/sqlite/file_watch.hpp"

#include <unistd.h>

namespace sluice::sqlite {

void file_watch::note() noexcept {
  file_ = identity_of(path_);
  log_ = identity_of(log_path_);
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
