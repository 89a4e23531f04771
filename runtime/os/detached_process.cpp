#include "runtime/os/detached_process.hpp"

#include "runtime/os/descriptor.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <unistd.h>

namespace sluice {

namespace {

constexpr int first_passed = 3;
constexpr size_t max_word_bytes = 4'096;

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

} // namespace

int spawn_detached(std::vector<std::string> words, int log, std::span<const int> passed, pid_t& child) {
  auto end = first_passed + static_cast<int>(passed.size());
  spawn_actions actions;
  posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(actions.get(), STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  std::vector<descriptor> copies;
  auto pass = [&](int fd, int as) {
    // Outside of the numbers that the child uses, so that none is replaced before it is passed.
    copies.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, end));
    posix_spawn_file_actions_adddup2(actions.get(), copies.back().get(), as);
    return static_cast<bool>(copies.back());
  };
  if (!pass(log, STDERR_FILENO))
    return errno;
  for (auto as = first_passed; as < end; ++as)
    if (!pass(passed[static_cast<size_t>(as - first_passed)], as))
      return errno;
  posix_spawn_file_actions_addclosefrom_np(actions.get(), end);
  posix_spawn_file_actions_addchdir_np(actions.get(), "/");
  std::vector<char*> arguments;
  for (auto& word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  return posix_spawn(&child, arguments.front(), actions.get(), spawn_attributes{}.get(), arguments.data(), environ);
}

std::optional<std::string> read_pipe_line(int fd, std::chrono::steady_clock::time_point limit) {
  std::string line;
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - std::chrono::steady_clock::now()).count();
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

} // namespace sluice
