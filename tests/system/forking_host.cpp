// A host that forks without `exec`, and its children.
//
//   forking_host CASE FOLDER [NUMBER]
//
// Prints the results, a line for each fact.

#include "tests/system/host_program.hpp"

#include <csignal>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace sluice;
using namespace sluice::test::lifetimes;
using sluice::test::lifetimes::say;

template <class T> std::string name_of(const caf::expected<T>& result) {
  return result ? "ok" : fmt::format("{}: {}", to_string(code_of(result.error())), describe(result.error()).message);
}

template <class T> void say(const char* action, const caf::expected<T>& result) {
  say(fmt::format("{} {}", action, name_of(result)));
}

std::array<int, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0)
    throw std::runtime_error("no pipe");
  return ends;
}

void await_child(pid_t child) {
  auto handle = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  pollfd ended{handle, POLLIN, 0};
  auto has_ended = poll(&ended, 1, static_cast<int>(std::chrono::milliseconds{time_to_end}.count())) > 0;
  close(handle);
  if (!has_ended) {
    say("the child hangs");
    kill(child, SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (has_ended)
    say(WIFEXITED(status) ? fmt::format("the child exits {}", WEXITSTATUS(status))
                          : fmt::format("the child is killed by {}", WTERMSIG(status)));
}

// Runs the work in a child, which ends with `_exit(0)`.
template <class Work> void fork_once(Work work) {
  std::fflush(stdout);
  auto child = fork();
  if (child == 0) {
    work();
    std::fflush(stdout);
    _exit(0);
  }
  await_child(child);
}

void fork_uses() {
  auto host = need(broker::open(config_of(folder)));
  auto db = open_app(host);
  need(db.read(count_rows()));
  auto rows = need(db.open_cursor(many_rows()));
  need(rows->next());
  fork_once([&] {
    say("write", db.write(insert(1)));
    say("write_async", db.write_async(insert(1)).get());
    say("read", db.read(count_rows()));
    auto cached = count_rows();
    cached.freshness = freshness::cached;
    say("cached", db.read(cached));
    say("cursor", rows->next());
    say("put", host.buffer().put(keep(1)));
    say("open_database", host.open_database("other.db"));
    say("audit", host.audit({}));
    say("shutdown", caf::expected<int>{host.shutdown() ? 1 : 0});
  });
  say("parent", db.write(insert(1)));
}

// The child destroys the objects that it inherited.
void fork_returns() {
  pid_t child = -1;
  {
    auto host = need(broker::open(config_of(folder)));
    auto db = open_app(host);
    auto door = need(front_door::open(host, {}));
    auto rows = need(db.open_cursor(many_rows()));
    std::fflush(stdout);
    child = fork();
    if (child > 0) {
      await_child(child);
      say("parent", db.write(insert(1)));
    }
  }
  if (child == 0)
    std::exit(0);
}

void fork_exits() {
  static std::optional<broker> host;
  host.emplace(need(broker::open(config_of(folder))));
  static auto db = open_app(*host);
  static auto door = need(front_door::open(*host, {}));
  std::fflush(stdout);
  auto child = fork();
  if (child == 0)
    std::exit(0);
  await_child(child);
  say("parent", db.write(insert(1)));
}

// A forked worker survives the kill of its host, and keeps no lock of the store.
void fork_orphan() {
  auto pipes = make_pipe();
  auto host = fork();
  if (host == 0) {
    auto host_broker = need(broker::open(config_of(folder)));
    auto db = open_app(host_broker);
    need(db.write(insert(1)));
    auto worker = fork();
    if (worker == 0)
      for (;;)
        pause();
    if (write(pipes[1], &worker, sizeof worker) != sizeof worker)
      _exit(1);
    for (;;)
      pause();
  }
  pid_t worker = 0;
  if (read(pipes[0], &worker, sizeof worker) != sizeof worker)
    throw std::runtime_error("no worker");
  kill(host, SIGKILL);
  waitpid(host, nullptr, 0);
  auto config = config_of(folder);
  config.lock_wait = 2s;
  auto again = broker::open(config);
  kill(worker, SIGKILL);
  say("next", again);
  if (again)
    say("write", open_app(*again).write(insert(2)));
}

// Children of a host that writes open brokers and clients of their own.
void fork_while_writing() {
  auto host = need(broker::open(config_of(folder / "host")));
  auto db = open_app(host);
  auto door = need(front_door::open(host, {}));
  std::atomic<bool> is_over{false};
  std::atomic<int64_t> last{1'000};
  std::vector<std::thread> writers;
  for (auto i = 0; i < 4; ++i)
    writers.emplace_back([&] {
      while (!is_over)
        need(db.write(insert(++last)));
    });
  for (uint64_t i = 0; i < std::max<uint64_t>(number, 10); ++i)
    fork_once([&] {
      auto child_broker = need(broker::open(config_of(folder / ("child" + std::to_string(i)))));
      need(open_app(child_broker).write(insert(1)));
      client_options options;
      options.require_broker = true;
      auto guest = need(open_client(folder / "host", options));
      need(guest->write(insert(static_cast<int64_t>(i) + 1)));
    });
  is_over = true;
  for (auto& writer : writers)
    writer.join();
}

// The child takes over the store that its parent led.
void fork_heir() {
  auto pipes = make_pipe();
  auto tried = make_pipe();
  auto host = fork();
  if (host == 0) {
    auto host_broker = need(broker::open(config_of(folder)));
    auto db = open_app(host_broker);
    std::thread writer{[&] { write_until_refused(db); }};
    while (*need(db.read(count_rows())).rows->at(0, 0).integer() < 20)
      std::this_thread::yield();
    std::fflush(stdout);
    auto heir = fork();
    if (heir > 0) {
      writer.detach();
      for (;;)
        pause();
    }
    // Without this end, the pipe ends when the parent is dead.
    close(pipes[1]);
    char none = 0;
    auto config = config_of(folder);
    config.lock_wait = 0ms;
    auto early = broker::open(config);
    say("while the parent lives", early);
    // Reports that the parent may be killed.
    if (write(tried[1], "", 1) != 1)
      _exit(1);
    while (getppid() != 1 && read(pipes[0], &none, 1) > 0)
      continue;
    config.lock_wait = 5s;
    auto next = broker::open(config);
    say("heir", next);
    if (next) {
      say("write", need(next->open_database("app.db")).write(insert(1)));
      say("read", need(next->open_database("app.db")).read(count_rows()));
    }
    say("over");
    _exit(0);
  }
  char none = 0;
  if (read(tried[0], &none, 1) != 1)
    throw std::runtime_error("no heir");
  kill(host, SIGKILL);
  waitpid(host, nullptr, 0);
}

const std::map<std::string, std::function<void()>> cases{
  {"fork_uses", fork_uses},
  {"fork_returns", fork_returns},
  {"fork_exits", fork_exits},
  {"fork_orphan", fork_orphan},
  {"fork_while_writing", fork_while_writing},
  {"fork_heir", fork_heir},
};

} // namespace

int main(int argc, char** argv) { return run_case(argc, argv, cases); }
