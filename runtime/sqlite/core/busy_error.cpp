#include "runtime/sqlite/core/busy_error.hpp"

#include "messages/error.hpp"
#include "runtime/os/lock_holder.hpp"

namespace sluice::sqlite {

caf::error busy_for(const std::filesystem::path& path, const caf::error& why) {
  auto x = describe(why);
  // It says itself what is waited for.
  if (x.retry_after_ms > 0)
    return why;
  if (auto holder = find_lock_holder(path))
    x.message = *holder + " holds the lock of this database; end it, or let it write through sluice";
  return make_error(std::move(x));
}

} // namespace sluice::sqlite
