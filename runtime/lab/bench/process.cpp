#include "runtime/lab/bench/process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/resource.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

extern char** environ;

namespace sluice::bench {

namespace {

[[noreturn]] void fail(const char* action, int code) {
  throw std::runtime_error{std::string{action} + ": " + std::generic_category().message(code)};
}

std::array<int, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0)
    fail("no pipe to a benchmark process", errno);
  return ends;
}

} // namespace

child_process::child_process(const std::vector<std::string>& command) {
  auto in = make_pipe();
  auto out = make_pipe();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  std::vector<char*> arguments;
  for (const auto& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  auto code = posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  in_ = in[1];
  out_ = out[0];
  if (code != 0) {
    pid_ = -1;
    fail("a benchmark process cannot be started", code);
  }
}

child_process::~child_process() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close_input();
  close(out_);
}

void child_process::write(std::string_view text) {
  if (::write(in_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    fail("a benchmark process does not listen", errno);
}

void child_process::read_exactly(void* to, size_t size) {
  auto* at = static_cast<char*>(to);
  while (size > 0) {
    auto got = read(out_, at, size);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      fail("a benchmark process ended early", got < 0 ? errno : EPIPE);
    at += got;
    size -= static_cast<size_t>(got);
  }
}

void child_process::close_input() noexcept {
  if (auto fd = std::exchange(in_, -1); fd >= 0)
    close(fd);
}

int child_process::wait() {
  std::array<char, 4096> unread;
  while (read(out_, unread.data(), unread.size()) > 0)
    continue;
  int status = 0;
  rusage used{};
  wait4(std::exchange(pid_, -1), &status, 0, &used);
  used_ = usage_of(used);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace sluice::bench
