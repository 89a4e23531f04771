#include "runtime/launcher/candidate.hpp"

#include "runtime/launcher/main_program.hpp"
#include "runtime/os/descriptor.hpp"
#include "runtime/os/detached_process.hpp"

#include <array>
#include <climits>
#include <cstdlib>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::launcher {

namespace {

// As in runtime/client/start_broker.cpp, which truncates it.
constexpr off_t max_log_bytes = off_t{1} << 20;

bool is_private(int fd, mode_t type) {
  struct stat info {};
  return fstat(fd, &info) == 0 && (info.st_mode & S_IFMT) == type && info.st_uid == geteuid()
         && (info.st_mode & 077) == 0 && (type == S_IFDIR || (info.st_nlink == 1 && info.st_size <= max_log_bytes));
}

} // namespace

bool start_candidate(const std::string& root, std::chrono::milliseconds timeout) {
  auto limit = std::chrono::steady_clock::now() + timeout;
  auto program = main_program();
  std::array<char, PATH_MAX> path{};
  if (program.empty() || std::getenv("SLUICE_PROGRAM") || !realpath(root.c_str(), path.data())
      || access(path.data(), W_OK | X_OK) != 0)
    return false;
  auto folder_path = std::string{path.data()} + "/.sluice";
  descriptor folder{open(folder_path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  // Of many launchers one starts a candidate; the others would load the main program twice.
  if (!folder || !is_private(folder.get(), S_IFDIR) || flock(folder.get(), LOCK_EX | LOCK_NB) != 0)
    return false;
  descriptor log{openat(folder.get(), "broker.log", O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (!log || !is_private(log.get(), S_IFREG))
    return false;
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) != 0)
    return false;
  descriptor ours{ends[0]};
  descriptor theirs{ends[1]};
  pid_t child = 0;
  if (spawn_detached({program, "serve", path.data(), "--transient", "--candidate", "--ready-fd", "3"}, log.get(),
                     std::array{theirs.get()}, child)
      != 0)
    return false;
  theirs.reset();
  return read_pipe_line(ours.get(), limit) == "ready";
}

} // namespace sluice::launcher
