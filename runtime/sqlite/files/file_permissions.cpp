#include "runtime/sqlite/files/file_permissions.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::sqlite {

void make_private(const std::filesystem::path& path) noexcept {
  auto fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0)
    ::close(fd);
  // An existing file is not opened: closing it would drop the locks of this process's connections to it.
  struct stat info {};
  if (fd < 0 && lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & 077) != 0)
    static_cast<void>(fchmodat(AT_FDCWD, path.c_str(), 0600, AT_SYMLINK_NOFOLLOW));
}

} // namespace sluice::sqlite
