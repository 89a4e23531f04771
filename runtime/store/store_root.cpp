#include "runtime/store/store_root.hpp"

#include "actors/base/utf8_text.hpp"
#include "runtime/os/descriptor.hpp"
#include "runtime/os/system_error.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <system_error>
#include <utility>

namespace sluice {

namespace {

namespace fs = std::filesystem;

constexpr size_t max_path_bytes = 1'024;

caf::error refuse(std::string reason) { return make_error(errc::invalid_request, "db " + std::move(reason)); }

caf::error refuse(std::string_view name, std::string_view reason) {
  return refuse("'" + std::string{name} + "' " + std::string{reason});
}

// Names appear in the audit, in JSON and on terminals.
bool is_plain_text(std::string_view text) { return is_utf8(text) && !has_control(text); }

std::optional<caf::error> check_text(std::string_view name) {
  if (name.empty())
    return refuse("is empty; it names a file relative to the store root");
  if (name.size() > max_path_bytes)
    return refuse("has " + std::to_string(name.size()) + " bytes; at most 1024 are allowed");
  if (!is_plain_text(name))
    return refuse("holds a control character or is not valid UTF-8");
  if (name.ends_with('/') || name.ends_with("/.") || name.ends_with("/..") || name == "." || name == "..")
    return refuse(name, "names a folder, not a file");
  return std::nullopt;
}

// `weakly_canonical` leaves a link whose target is missing unchanged. SQLite would create that target.
bool has_dangling_link(const fs::path& root, const fs::path& relative) {
  auto at = root;
  for (const auto& part : relative) {
    at /= part;
    std::error_code failed;
    if (fs::is_symlink(fs::symlink_status(at, failed)))
      return true;
  }
  return false;
}

std::optional<caf::error> check_place(std::string_view name, const fs::path& relative) {
  if (relative.empty() || relative == "." || *relative.begin() == "..")
    return refuse(name, relative == "." ? "names a folder, not a file" : "leads out of the store root");
  if (std::any_of(relative.begin(), relative.end(), [](const fs::path& part) { return part == ".sluice"; }))
    return refuse(name, "lies in .sluice/, which belongs to the broker");
  // In a subfolder it would be the settings file of a later root.
  if (relative.filename() == "sluice.toml")
    return refuse(name, "is a broker's configuration");
  // A database there could be a mistake in the catalogue; in a subfolder, in that of a later root.
  if (*relative.begin() == "operations"
      || (relative.parent_path().filename() == "operations" && relative.extension() == ".sql"))
    return refuse(name, "lies in operations/, which is for the files of operations");
  const auto& text = relative.native();
  for (std::string_view suffix : {"-wal", "-shm", "-journal"})
    if (text.ends_with(suffix))
      return refuse(name, "ends in " + std::string{suffix} + ", as a companion file of another database does");
  if (!is_plain_text(text) || text.size() > max_path_bytes)
    return refuse(name, "leads to a file whose name is too long, or no plain UTF-8");
  return std::nullopt;
}

// SQLite's own limits; SQLite would report only that it cannot open the file.
std::optional<caf::error> check_lengths(std::string_view name, const fs::path& file) {
  constexpr size_t longest_suffix = std::string_view{"-journal"}.size();
  constexpr size_t max_name_bytes = NAME_MAX - longest_suffix;
  constexpr size_t max_sqlite_path_bytes = 512 - longest_suffix;
  if (file.filename().native().size() > max_name_bytes)
    return refuse(name, "leads to a file whose name is too long: it has "
                          + std::to_string(file.filename().native().size()) + " bytes; at most "
                          + std::to_string(max_name_bytes) + " are allowed");
  if (file.native().size() > max_sqlite_path_bytes)
    return refuse(name, "leads to a file whose path is too long: with the store root it has "
                          + std::to_string(file.native().size()) + " bytes; at most "
                          + std::to_string(max_sqlite_path_bytes) + " are allowed");
  return std::nullopt;
}

std::optional<caf::error> check_file(std::string_view name, const fs::path& file) {
  struct stat info {};
  if (lstat(file.c_str(), &info) != 0) {
    if (errno == ENOENT)
      return std::nullopt;
    return refuse(name, "cannot be looked up: " + std::generic_category().message(errno));
  }
  if (S_ISDIR(info.st_mode))
    return refuse(name, "is a folder, not a file");
  if (!S_ISREG(info.st_mode))
    return refuse(name, "is not a regular file");
  // For a file with two names SQLite would keep two write-ahead logs, and lose data.
  if (info.st_nlink > 1)
    return refuse(name, "has another hard link; a database file needs to have one name only");
  return std::nullopt;
}

// A folder with a `.sluice/` of its own is a store of its own. A second broker would be a second writer.
std::optional<caf::error> check_other_stores(std::string_view name, const fs::path& root, const fs::path& relative) {
  fs::path inner;
  for (const auto& part : relative.parent_path()) {
    inner /= part;
    struct stat info {};
    if (lstat((root / inner / ".sluice").c_str(), &info) == 0 && S_ISDIR(info.st_mode))
      return make_error(errc::wrong_store, "db '" + std::string{name} + "' lies in " + inner.native()
                                             + "/, a store of its own (it has a .sluice/); use that folder as the "
                                               "store root");
  }
  return std::nullopt;
}

// A link in its place could lead the broker's files anywhere, so links are not followed; the check and the change use
// the same descriptor.
std::optional<caf::error> check_folder(const fs::path& path) {
  descriptor folder{open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!folder && errno == ENOENT)
    return std::nullopt;
  if (!folder && (errno == ENOTDIR || errno == ELOOP))
    return make_error(errc::invalid_request, ".sluice in the store root is not a folder");
  if (!folder && errno == EACCES)
    return make_error(errc::not_authorized, ".sluice/ may not be entered");
  struct stat info {};
  if (!folder || fstat(folder.get(), &info) != 0)
    return file_error("create .sluice/", errno);
  if (info.st_uid != geteuid())
    return make_error(errc::not_authorized, ".sluice/ belongs to another user");
  if ((info.st_mode & 07777) != 0700 && fchmod(folder.get(), 0700) != 0)
    return file_error("create .sluice/", errno);
  return std::nullopt;
}

} // namespace

caf::expected<store_root> store_root::look_up(const fs::path& root) {
  std::error_code failed;
  auto path = fs::canonical(root.empty() ? fs::path{"."} : root, failed);
  if (failed == std::errc::permission_denied)
    return make_error(errc::not_authorized, "the store root may not be entered");
  if (failed == std::errc::not_a_directory)
    return make_error(errc::invalid_request, "the store root is not a folder");
  if (failed)
    return make_error(errc::unknown_database,
                      "the folder of the store does not exist; create it first, or name another one");
  if (!fs::is_directory(path, failed))
    return make_error(errc::invalid_request, "the store root is not a folder");
  auto identity = identity_of(path);
  if (!identity)
    return make_error(errc::unknown_database,
                      "the folder of the store does not exist; create it first, or name another one");
  return store_root{std::move(path), *identity};
}

caf::expected<void> store_root::make_folder() const {
  auto path = folder();
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return file_error("create .sluice/", errno);
  if (auto reason = check_folder(path))
    return std::move(*reason);
  return caf::unit;
}

bool store_root::is_in_place() const noexcept { return identity_of(path_) == identity_; }

caf::error store_root::not_in_place() {
  return make_error(errc::wrong_store, "the folder of this store was moved, deleted or replaced by another one; open "
                                       "the store again where it is now");
}

caf::expected<store_root> store_root::open(const fs::path& root) {
  auto found = look_up(root);
  if (found)
    if (auto reason = check_folder(found->folder()))
      return std::move(*reason);
  return found;
}

caf::expected<std::string> store_root::resolve(std::string_view name) const {
  if (auto reason = check_text(name))
    return std::move(*reason);
  if (!is_in_place())
    return not_in_place();
  std::error_code failed;
  auto target = fs::weakly_canonical(path_ / fs::path{name}, failed);
  if (failed)
    return refuse(name, "cannot be looked up: " + failed.message());
  // Both are absolute and without links and dots, so a comparison of names suffices.
  auto relative = target.lexically_relative(path_);
  if (auto reason = check_place(name, relative))
    return std::move(*reason);
  if (auto reason = check_lengths(name, target))
    return std::move(*reason);
  if (has_dangling_link(path_, relative))
    return refuse(name, "goes through a link that leads nowhere");
  if (auto reason = check_other_stores(name, path_, relative))
    return std::move(*reason);
  if (auto reason = check_file(name, target))
    return std::move(*reason);
  return relative.native();
}

} // namespace sluice
