#include "runtime/os/system_error.hpp"

#include <cerrno>
#include <system_error>

namespace sluice {

caf::error cannot_make(const std::string& object, int code) {
  if (code == EROFS || code == EACCES || code == EPERM)
    return make_error(errc::read_only, "the store root may not be written: " + object + " cannot be made");
  if (code == ENOSPC || code == EDQUOT)
    return make_error(errc::disk_full, "the disk is full: " + object + " cannot be made");
  return make_error(errc::io_error, object + " cannot be made: " + std::generic_category().message(code));
}

} // namespace sluice
