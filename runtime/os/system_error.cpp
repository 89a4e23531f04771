#include "runtime/os/system_error.hpp"

#include <cerrno>
#include <system_error>

namespace sluice {

caf::error file_error(const std::string& action, int code) {
  if (code == EROFS || code == EACCES || code == EPERM)
    return make_error(errc::read_only, "cannot " + action + ": no permission to write in the folder of the store");
  if (code == ENOSPC || code == EDQUOT)
    return make_error(errc::disk_full, "cannot " + action + ": the disk is full");
  return make_error(errc::io_error, "cannot " + action + ": " + std::generic_category().message(code));
}

} // namespace sluice
