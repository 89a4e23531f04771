#include "runtime/client/start_broker.hpp"

#include "runtime/os/descriptor.hpp"
#include "runtime/store/private_folder.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

namespace sluice {

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr off_t max_log_bytes = off_t{1} << 20;
constexpr size_t max_word_bytes = 4'096;
constexpr milliseconds exit_timeout{500};

// The descriptors of the child, after the standard ones.
constexpr int child_lock = 3;
constexpr int child_claim = 4;
constexpr int child_ready = 5;
constexpr int child_end = 6;

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

// Duplicates the descriptor outside the numbers that the child uses.
descriptor above(int fd) { return descriptor{fcntl(fd, F_DUPFD_CLOEXEC, child_end)}; }

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

class spawn_actions {
public:
  spawn_actions() { posix_spawn_file_actions_init(&actions_); }
  spawn_actions(const spawn_actions&) = delete;
  ~spawn_actions() { posix_spawn_file_actions_destroy(&actions_); }

  posix_spawn_file_actions_t* get() noexcept { return &actions_; }

private:
  posix_spawn_file_actions_t actions_{};
};

// Starts a session of its own, with no signal blocked or ignored, whatever the host has set.
class spawn_attributes {
public:
  spawn_attributes() {
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  spawn_attributes(const spawn_attributes&) = delete;
  ~spawn_attributes() { posix_spawnattr_destroy(&attributes_); }

  const posix_spawnattr_t* get() const noexcept { return &attributes_; }

private:
  posix_spawnattr_t attributes_{};
};

// Returns 0, or the errno.
int spawn(const fs::path& program, const store_root& root, const store_lock& lock, int ready, pid_t& child) {
  auto log = open_log(root);
  std::array copies{above(log.get()), above(lock.file_fd()), above(lock.claim_fd()), above(ready)};
  for (const auto& copy : copies)
    if (!copy)
      return errno;
  spawn_actions actions;
  posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(actions.get(), STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(actions.get(), copies[0].get(), STDERR_FILENO);
  posix_spawn_file_actions_adddup2(actions.get(), copies[1].get(), child_lock);
  posix_spawn_file_actions_adddup2(actions.get(), copies[2].get(), child_claim);
  posix_spawn_file_actions_adddup2(actions.get(), copies[3].get(), child_ready);
  posix_spawn_file_actions_addclosefrom_np(actions.get(), child_end);
  posix_spawn_file_actions_addchdir_np(actions.get(), "/");
  std::vector<std::string> words{
    program.native(),           "serve",      root.path().native(),        "--transient", "--lock-fd",
    std::to_string(child_lock), "--claim-fd", std::to_string(child_claim), "--ready-fd",  std::to_string(child_ready)};
  std::vector<char*> arguments;
  for (auto& word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  return posix_spawn(&child, program.c_str(), actions.get(), spawn_attributes{}.get(), arguments.data(), environ);
}

// The line as far as it was received; nothing when the time was over.
std::optional<std::string> read_line(int fd, steady_clock::time_point limit) {
  std::string line;
  for (;;) {
    auto left = std::chrono::duration_cast<milliseconds>(limit - steady_clock::now()).count();
    pollfd watched{fd, POLLIN, 0};
    auto ready = left > 0 ? poll(&watched, 1, static_cast<int>(left) + 1) : 0;
    if (ready == 0)
      return std::nullopt;
    std::array<char, 512> bytes{};
    auto count = ready > 0 ? read(fd, bytes.data(), bytes.size()) : -1;
    if (count < 0 && errno == EINTR)
      continue;
    if (count > 0)
      line.append(bytes.data(), static_cast<size_t>(count));
    if (auto end = line.find('\n'); end != std::string::npos)
      return line.substr(0, end);
    if (count <= 0 || line.size() > max_word_bytes)
      return line;
  }
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
  auto line = read_line(ours.get(), limit);
  // The broker has the lock even if it reported an error; unlocking it here would take it from a broker that is only
  // slow.
  lock.forget();
  // Further output is ignored.
  ours.reset();
  reap(child, steady_clock::now() + exit_timeout);
  return result_of(line);
}

} // namespace sluice
