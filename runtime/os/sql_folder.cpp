#include "runtime/os/sql_folder.hpp"

#include "actors/base/case_folding.hpp"
#include "actors/base/utf8_text.hpp"
#include "runtime/os/descriptor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace sluice {

namespace {

constexpr std::string_view sql_file_ending = ".sql";

struct folder_closer {
  void operator()(DIR* folder) const noexcept { closedir(folder); }
};

using folder_stream = std::unique_ptr<DIR, folder_closer>;

caf::error is_a_link(std::string_view what) {
  return make_error(errc::invalid_request,
                    fmt::format("{} is a symbolic link, which could lead anywhere; put a copy in its place", what));
}

caf::error cannot_read(std::string_view what, int code) {
  return make_error(errc::io_error, fmt::format("cannot read {}: {}", what, std::generic_category().message(code)));
}

// On a file system that ignores case it may be the author's .sql; it must not be ignored without a word.
bool is_nearly_sql_file_name(std::string_view name) noexcept {
  return name.size() >= sql_file_ending.size() && !name.starts_with('.') && !name.ends_with(sql_file_ending)
         && same_name(name.substr(name.size() - sql_file_ending.size()), sql_file_ending);
}

bool is_sql_file_name(std::string_view name) noexcept {
  // Editors keep hidden files beside those that they have open.
  return name.ends_with(sql_file_ending) && !name.starts_with('.');
}

// In the order of the bytes of the names.
caf::expected<std::vector<std::string>> names_in(DIR* folder, const std::string& shown) {
  std::vector<std::string> result;
  for (;;) {
    errno = 0;
    const auto* entry = readdir(folder);
    if (!entry && errno != 0)
      return cannot_read(shown, errno);
    if (!entry)
      break;
    std::string name = entry->d_name;
    if (is_nearly_sql_file_name(name))
      return make_error(
        errc::invalid_request,
        fmt::format("{}{}: the name must end in .sql, in small letters; rename it", shown, escape_invalid_utf8(name)));
    if (is_sql_file_name(name))
      result.push_back(std::move(name));
  }
  std::sort(result.begin(), result.end());
  return result;
}

struct file_bound {
  uint64_t max_bytes = 0;
  errc too_large = errc::too_large;
};

caf::expected<std::string> read_whole(int file, const std::string& shown, uint64_t max_bytes) {
  std::string result;
  std::array<char, 16 * 1024> buffer;
  // A file that grows meanwhile is read until it is too long, so that its reader refuses it.
  while (result.size() <= max_bytes) {
    auto count = read(file, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return cannot_read(shown, errno);
    if (count == 0)
      break;
    result.append(buffer.data(), static_cast<size_t>(count));
  }
  return result;
}

// Nothing if there is no regular file of this name.
caf::expected<std::optional<std::string>> read_sql_file(int folder, const std::string& name, const std::string& shown,
                                                        file_bound bound) {
  // O_NONBLOCK, because opening a pipe would wait for its other end.
  descriptor file{openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)};
  if (!file && errno == ENOENT)
    return std::optional<std::string>{};
  if (!file && errno == ELOOP)
    return is_a_link(shown);
  struct stat status {};
  if (!file || fstat(file.get(), &status) != 0)
    return cannot_read(shown, errno);
  if (!S_ISREG(status.st_mode))
    return std::optional<std::string>{};
  if (static_cast<uint64_t>(status.st_size) > bound.max_bytes)
    return make_error(bound.too_large, fmt::format("{}:1: the file has {} bytes, and may have {}; split it", shown,
                                                   status.st_size, bound.max_bytes));
  auto text = read_whole(file.get(), shown, bound.max_bytes);
  if (!text)
    return std::move(text.error());
  return std::optional{std::move(*text)};
}

} // namespace

caf::expected<std::optional<std::vector<sql_file>>> read_sql_folder(const std::filesystem::path& folder,
                                                                    uint64_t max_bytes, errc too_large) {
  // With a slash at its end, a link would be followed.
  auto path = folder.has_filename() ? folder : folder.parent_path();
  auto shown_folder = escape_invalid_utf8(path.filename().string()) + "/";
  descriptor opened{open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!opened && errno == ENOENT)
    return std::optional<std::vector<sql_file>>{};
  struct stat status {};
  // With O_DIRECTORY, a link gives ENOTDIR.
  if (!opened && (errno == ELOOP || errno == ENOTDIR) && lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode))
    return is_a_link(shown_folder);
  if (!opened && errno == ENOTDIR)
    return make_error(errc::invalid_request, fmt::format("{} is no folder; give the one that holds the .sql files",
                                                         escape_invalid_utf8(path.filename().string())));
  if (!opened)
    return cannot_read(shown_folder, errno);
  folder_stream stream{fdopendir(opened.get())};
  if (!stream)
    return cannot_read(shown_folder, errno);
  opened.release();
  auto names = names_in(stream.get(), shown_folder);
  if (!names)
    return std::move(names.error());
  std::vector<sql_file> result;
  for (auto& name : *names) {
    auto shown = shown_folder + escape_invalid_utf8(name);
    auto text = read_sql_file(dirfd(stream.get()), name, shown, {max_bytes, too_large});
    if (!text)
      return std::move(text.error());
    if (*text)
      result.push_back({std::move(name), std::move(shown), std::move(**text)});
  }
  return std::optional{std::move(result)};
}

} // namespace sluice
