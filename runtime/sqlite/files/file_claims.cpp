#include "runtime/sqlite/files/file_claims.hpp"

#include "messages/error.hpp"
#include "runtime/sqlite/files/file_guard.hpp"

#include <string>
#include <utility>

namespace sluice::sqlite {

file_guard* file_claims::owner_of(const file_identity& file) const noexcept {
  std::lock_guard guard{mutex_};
  auto found = entries_.find(file);
  return found == entries_.end() ? nullptr : found->second.owner;
}

caf::error file_claims::acquire(const file_identity& file, file_guard& by) {
  auto* owner = owner_of(file);
  if (owner == &by)
    return {};
  if (owner)
    owner->close_moved_files();
  std::lock_guard guard{mutex_};
  if (auto found = entries_.find(file); found != entries_.end() && found->second.owner != &by)
    return make_error(errc::invalid_request, "'" + by.name() + "' is the same file as '" + found->second.owner->name()
                                               + "', which is open in this broker");
  pid_t holder = 0;
  auto claim = folder_claim::try_acquire(file, holder);
  if (!claim)
    return std::move(claim.error());
  if (!*claim)
    return make_error(errc::busy, "'" + by.name() + "' is the file of a database that another broker"
                                    + (holder > 0 ? " (process " + std::to_string(holder) + ")" : std::string{})
                                    + " has open under another path; a request to it there, or its end, closes it when "
                                      "it was moved from there");
  entries_.emplace(file, entry{&by, std::move(**claim)});
  return {};
}

void file_claims::release(const file_guard& by) noexcept {
  std::lock_guard guard{mutex_};
  std::erase_if(entries_, [&](const auto& x) { return x.second.owner == &by; });
}

void file_claims::clear() noexcept {
  std::lock_guard guard{mutex_};
  entries_.clear();
}

} // namespace sluice::sqlite
