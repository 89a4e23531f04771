#include "runtime/os/file_identity.hpp"

#include "messages/error.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace sluice {

namespace {

std::optional<uint64_t> whole_number(const nlohmann::json& object, const char* name) {
  auto at = object.find(name);
  if (at == object.end() || !at->is_number_unsigned())
    return std::nullopt;
  return at->get<uint64_t>();
}

} // namespace

std::optional<file_identity> identity_of(const std::filesystem::path& path) noexcept {
  // Requests no times: since Linux 6.13, reading the times of a file makes its next write store a new time. That would
  // change the inode with each write instead of once in a few milliseconds.
  struct statx info {};
  if (statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_INO, &info) != 0)
    return std::nullopt;
  return file_identity{makedev(info.stx_dev_major, info.stx_dev_minor), info.stx_ino};
}

std::optional<file_identity> identity_of(int fd) noexcept {
  struct stat info {};
  if (fstat(fd, &info) != 0)
    return std::nullopt;
  return file_identity{static_cast<uint64_t>(info.st_dev), static_cast<uint64_t>(info.st_ino)};
}

int64_t birth_time_ns(const std::filesystem::path& path) noexcept {
  struct statx info {};
  if (statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BTIME, &info) != 0 || (info.stx_mask & STATX_BTIME) == 0)
    return 0;
  return info.stx_btime.tv_sec * 1'000'000'000 + info.stx_btime.tv_nsec;
}

nlohmann::json as_json(const file_identity& identity) {
  return {{"device", identity.device}, {"inode", identity.inode}};
}

caf::expected<file_identity> file_identity_from_json(const nlohmann::json& document) {
  auto device = document.is_object() ? whole_number(document, "device") : std::nullopt;
  auto inode = document.is_object() ? whole_number(document, "inode") : std::nullopt;
  if (!device || !inode)
    return make_error(errc::invalid_request, R"(an identity is {"device": N, "inode": N} with whole numbers)");
  return file_identity{*device, *inode};
}

} // namespace sluice
