#include "runtime/sqlite/core/busy_error.hpp"

#include "messages/error.hpp"
#include "runtime/os/lock_holder.hpp"

namespace sluice::sqlite {

caf::error busy_for(const std::filesystem::path& path, const caf::error& error) {
  auto result = describe(error);
  // The error already names the missing resource.
  if (result.retry_after_ms > 0)
    return error;
  if (auto holder = find_lock_holder(path))
    result.message = *holder + " holds the lock of this database; end it, or let it write through sluice";
  return make_error(std::move(result));
}

} // namespace sluice::sqlite
