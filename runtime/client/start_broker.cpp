#include "runtime/client/start_broker.hpp"

#include "runtime/os/descriptor.hpp"
#include "runtime/os/detached_process.hpp"
#include "runtime/store/private_folder.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace sluice {

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr off_t max_log_bytes = off_t{1} << 20;
constexpr milliseconds exit_timeout{500};

bool is_program(const fs::path& path) {
  std::error_code unreadable;
  return fs::is_regular_file(path, unreadable) && access(path.c_str(), X_OK) == 0;
}

fs::path in_search_path(std::string_view name) {
  const auto* folders = std::getenv("PATH");
  for (std::string_view rest = folders ? folders : ""; !rest.empty();) {
    auto end = std::min(rest.find(':'), rest.size());
    // A relative folder would mean another program in each working directory.
    if (auto path = fs::path{rest.substr(0, end)} / name; path.is_absolute() && is_program(path))
      return path;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

descriptor open_log(const store_root& root) {
  auto path = root.folder() / "broker.log";
  auto open_file = [&] {
    return descriptor{open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600)};
  };
  auto log = open_file();
  struct stat info {};
  // Other users may have created it, or have it open, from a time when the folder was not private.
  if (log && fstat(log.get(), &info) == 0 && (info.st_uid != geteuid() || (info.st_mode & 077) != 0)
      && rename_untrusted(path))
    log = open_file();
  if (!log || fstat(log.get(), &info) != 0 || !S_ISREG(info.st_mode))
    return descriptor{open("/dev/null", O_WRONLY | O_CLOEXEC)};
  if (info.st_size > max_log_bytes && ftruncate(log.get(), 0) != 0)
    errno = 0;
  return log;
}

// Returns 0, or the errno.
int spawn(const fs::path& program, const store_root& root, const store_lock& lock, int ready, pid_t& child) {
  auto log = open_log(root);
  constexpr const char* lock_fd = "3";
  constexpr const char* claim_fd = "4";
  constexpr const char* ready_fd = "5";
  return spawn_detached({program.native(), "serve", root.path().native(), "--transient", "--lock-fd", lock_fd,
                         "--claim-fd", claim_fd, "--ready-fd", ready_fd},
                        log.get(), std::array{lock.file_fd(), lock.claim_fd(), ready}, child);
}

// The broker is in the background by now, or has ended; any other program is left alone.
void reap(pid_t child, steady_clock::time_point limit) {
  pid_t reaped = 0;
  while ((reaped = waitpid(child, nullptr, WNOHANG)) == 0 || (reaped < 0 && errno == EINTR)) {
    if (steady_clock::now() >= limit)
      return;
    std::this_thread::sleep_for(milliseconds{1});
  }
}

broker_start result_of(const std::optional<std::string>& line) {
  using state = broker_start::state;
  constexpr std::string_view error = "error ";
  if (!line)
    return {state::silent, "the broker that was started says nothing"};
  if (*line == "ready")
    return {state::ready, {}};
  if (line->starts_with(error))
    return {state::refused, line->substr(error.size())};
  return {state::died, "the broker that was started ended at once; .sluice/broker.log may say why"};
}

} // namespace

fs::path broker_program(const fs::path& wanted) {
  auto usable = [](const fs::path& path) {
    std::error_code failed;
    return is_program(path) ? fs::absolute(path, failed) : fs::path{};
  };
  if (!wanted.empty())
    return usable(wanted);
  if (const auto* named = std::getenv("SLUICE_PROGRAM"); named && *named)
    return usable(named);
  std::error_code unreadable;
  auto self = fs::read_symlink("/proc/self/exe", unreadable);
  if (self.filename() == "sluice" || self.filename() == "sluice-main")
    return self;
  return in_search_path("sluice");
}

broker_start start_broker(const fs::path& program, const store_root& root, store_lock& lock, milliseconds timeout) {
  auto limit = steady_clock::now() + timeout;
  std::array<int, 2> ends{-1, -1};
  auto failed = pipe2(ends.data(), O_CLOEXEC) == 0 ? 0 : errno;
  descriptor ours{ends[0]};
  descriptor theirs{ends[1]};
  pid_t child = 0;
  if (failed == 0)
    failed = spawn(program, root, lock, theirs.get(), child);
  if (failed != 0)
    return {broker_start::state::not_started,
            "the sluice program cannot be started: " + std::generic_category().message(failed)};
  theirs.reset();
  auto line = read_pipe_line(ours.get(), limit);
  // The broker has the lock even if it reported an error; unlocking it here would take it from a broker that is only
  // slow.
  lock.forget();
  // Further output is ignored.
  ours.reset();
  reap(child, steady_clock::now() + exit_timeout);
  return result_of(line);
}

} // namespace sluice
