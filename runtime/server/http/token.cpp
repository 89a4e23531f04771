#include "runtime/server/http/token.hpp"

#include "messages/error.hpp"
#include "runtime/os/descriptor.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace sluice::http {

namespace {

namespace fs = std::filesystem;

constexpr size_t random_bytes = 32;
constexpr size_t token_bytes = 2 * random_bytes;

std::string random_hex() {
  std::array<unsigned char, random_bytes> bytes{};
  randombytes_buf(bytes.data(), bytes.size());
  std::string result(token_bytes + 1, '\0');
  sodium_bin2hex(result.data(), result.size(), bytes.data(), bytes.size());
  result.pop_back();
  return result;
}

// The last part only: the folder may lie outside the store root.
caf::error refuse(const fs::path& file, std::string_view why) {
  return make_error(errc::not_authorized, "the token file " + file.filename().string() + " " + std::string{why});
}

caf::error failed(const fs::path& file, std::string_view action, int code) {
  auto kind = code == ENOSPC || code == EDQUOT                   ? errc::disk_full
              : code == EACCES || code == EPERM || code == EROFS ? errc::read_only
                                                                 : errc::io_error;
  return make_error(kind, "the token file " + file.filename().string() + " cannot be " + std::string{action} + ": "
                            + std::generic_category().message(code));
}

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

caf::expected<std::string> load(const fs::path& file, int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0)
    return failed(file, "read", errno);
  if (!S_ISREG(info.st_mode))
    return refuse(file, "is not a regular file");
  if (info.st_uid != geteuid())
    return refuse(file, "belongs to another user");
  if ((info.st_mode & 077) != 0)
    return refuse(file, "may be used by others; make a new one by deleting it, or chmod it to 600");
  std::array<char, token_bytes + 2> text{};
  auto size = pread(fd, text.data(), text.size(), 0);
  if (size < 0)
    return failed(file, "read", errno);
  std::string_view token{text.data(), static_cast<size_t>(size)};
  if (token.ends_with('\n'))
    token.remove_suffix(1);
  if (token.size() != token_bytes || !std::all_of(token.begin(), token.end(), is_hex))
    return refuse(file, "does not hold 64 hexadecimal digits (0-9, a-f); delete it to have a new one made");
  return std::string{token};
}

// Written under another name first, so that no process reads a part of it.
caf::expected<void> make(const fs::path& file) {
  auto draft = file;
  draft += "." + random_hex().substr(0, 16);
  descriptor out{::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!out)
    return failed(file, "made", errno);
  auto text = random_hex() + "\n";
  auto written = write(out.get(), text.data(), text.size());
  auto code = written < 0 ? errno : written < static_cast<ssize_t>(text.size()) ? ENOSPC : 0;
  if (code == 0 && fsync(out.get()) != 0)
    code = errno;
  // The process that comes second reads the token of the first.
  if (code == 0 && link(draft.c_str(), file.c_str()) != 0 && errno != EEXIST)
    code = errno;
  unlink(draft.c_str());
  if (code != 0)
    return failed(file, "made", code);
  return {};
}

} // namespace

caf::expected<std::string> load_or_make_token(const fs::path& file) {
  if (sodium_init() < 0)
    return make_error(errc::internal, "the system gives no random numbers");
  for (auto may_make : {true, false}) {
    // Does not wait for a writer if the file is a pipe.
    descriptor in{::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)};
    if (in)
      return load(file, in.get());
    if (errno == ELOOP)
      return refuse(file, "is a link");
    if (errno == EACCES)
      return refuse(file, "may not be read");
    if (errno != ENOENT || !may_make)
      return failed(file, "read", errno);
    if (auto made = make(file); !made)
      return std::move(made.error());
  }
  return make_error(errc::internal, "the token file cannot be made");
}

} // namespace sluice::http
