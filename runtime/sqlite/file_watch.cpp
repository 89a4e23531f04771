#include "runtime/sqlite/file_watch.hpp"

#include <sys/stat.h>

namespace sluice::sqlite {

file_watch::file_id file_watch::look_up(const std::string& path) noexcept {
  struct stat x {};
  return lstat(path.c_str(), &x) == 0 ? file_id{x.st_dev, x.st_ino} : file_id{};
}

void file_watch::note() noexcept {
  file_ = look_up(path_);
  log_ = look_up(log_path_);
}

bool file_watch::moved() const noexcept { return look_up(path_) != file_; }

bool file_watch::log_moved() noexcept {
  auto now = look_up(log_path_);
  // A connection that has not read yet has no log.
  if (log_ == file_id{})
    log_ = now;
  return now != log_;
}

} // namespace sluice::sqlite
