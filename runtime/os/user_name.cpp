#include "runtime/os/user_name.hpp"

#include <pwd.h>
#include <unistd.h>

namespace sluice {

std::string user_name() {
  if (const auto* entry = getpwuid(geteuid()))
    return entry->pw_name;
  return "uid" + std::to_string(geteuid());
}

} // namespace sluice
