#include "runtime/os/secret_file.hpp"

#include "messages/error.hpp"
#include "runtime/os/descriptor.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace sluice {

namespace {

namespace fs = std::filesystem;

constexpr size_t random_bytes = 32;
constexpr size_t secret_digits = 2 * random_bytes;

std::string random_hex() {
  std::array<unsigned char, random_bytes> bytes{};
  randombytes_buf(bytes.data(), bytes.size());
  std::string result(secret_digits + 1, '\0');
  sodium_bin2hex(result.data(), result.size(), bytes.data(), bytes.size());
  result.pop_back();
  return result;
}

// Only the last part is checked: the folder may lie outside the store root.
struct secret_file {
  const fs::path& path;
  std::string_view kind;

  std::string name() const { return "the " + std::string{kind} + " " + path.filename().string(); }
};

caf::error refuse(const secret_file& file, std::string_view reason) {
  return make_error(errc::not_authorized, file.name() + " " + std::string{reason});
}

caf::error failed(const secret_file& file, std::string_view action, int code) {
  auto kind = code == ENOSPC || code == EDQUOT                   ? errc::disk_full
              : code == EACCES || code == EPERM || code == EROFS ? errc::read_only
                                                                 : errc::io_error;
  return make_error(kind,
                    file.name() + " cannot be " + std::string{action} + ": " + std::generic_category().message(code));
}

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

caf::expected<std::string> load(const secret_file& file, int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0)
    return failed(file, "read", errno);
  if (!S_ISREG(info.st_mode))
    return refuse(file, "is not a regular file");
  if (info.st_uid != geteuid())
    return refuse(file, "belongs to another user");
  if ((info.st_mode & 077) != 0)
    return refuse(file, "may be used by others; make a new one by deleting it, or chmod it to 600");
  std::array<char, secret_digits + 2> text{};
  auto size = pread(fd, text.data(), text.size(), 0);
  if (size < 0)
    return failed(file, "read", errno);
  std::string_view secret{text.data(), static_cast<size_t>(size)};
  if (secret.ends_with('\n'))
    secret.remove_suffix(1);
  if (secret.size() != secret_digits || !std::all_of(secret.begin(), secret.end(), is_hex))
    return refuse(file, "does not hold 64 hexadecimal digits (0-9, a-f); delete it to have a new one made");
  return std::string{secret};
}

// Written under another name first, so that no process reads a part of it.
caf::expected<void> make(const secret_file& file) {
  auto draft = file.path;
  draft += "." + random_hex().substr(0, 16);
  descriptor out{::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!out)
    return failed(file, "made", errno);
  auto text = random_hex() + "\n";
  auto written = write(out.get(), text.data(), text.size());
  auto code = written < 0 ? errno : written < static_cast<ssize_t>(text.size()) ? ENOSPC : 0;
  if (code == 0 && fsync(out.get()) != 0)
    code = errno;
  // Another process was faster; this one reads that secret.
  if (code == 0 && link(draft.c_str(), file.path.c_str()) != 0 && errno != EEXIST)
    code = errno;
  unlink(draft.c_str());
  if (code != 0)
    return failed(file, "made", code);
  return {};
}

// Nothing if the file does not exist.
caf::expected<std::optional<std::string>> open_and_load(const secret_file& file) {
  // Does not wait for a writer if the file is a pipe.
  descriptor in{::open(file.path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)};
  auto code = errno;
  if (!in && code == ENOENT)
    return std::optional<std::string>{};
  if (!in && code == ELOOP)
    return refuse(file, "is a link");
  if (!in && code == EACCES)
    return refuse(file, "may not be read");
  if (!in)
    return failed(file, "read", code);
  auto secret = load(file, in.get());
  if (!secret)
    return std::move(secret.error());
  return std::optional{std::move(*secret)};
}

} // namespace

caf::expected<std::string> load_or_make_secret(const fs::path& path, std::string_view kind) {
  if (sodium_init() < 0)
    return make_error(errc::internal, "the system gives no random numbers");
  const secret_file file{path, kind};
  for (auto may_make : {true, false}) {
    auto found = open_and_load(file);
    if (!found)
      return std::move(found.error());
    if (*found)
      return std::move(**found);
    if (auto made = may_make ? make(file) : caf::expected<void>{failed(file, "read", ENOENT)}; !made)
      return std::move(made.error());
  }
  return make_error(errc::internal, file.name() + " cannot be made");
}

caf::expected<std::optional<std::string>> load_secret(const fs::path& path, std::string_view kind) {
  return open_and_load({path, kind});
}

} // namespace sluice
