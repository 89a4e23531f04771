// A host that ends in some way of its own, for tests that cannot do so themselves: exits with static objects, from threads
// and actors, and forks.
//
//   lifetimes_host CASE FOLDER [NUMBER]
//
// Prints what came of it, a line for each fact.

#include "tests/system/lifetimes.hpp"

#include <fmt/format.h>

#include <csignal>
#include <cstring>
#include <ctime>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace sluice;
using namespace sluice::test::lifetimes;

std::filesystem::path folder;
uint64_t number = 0;

// Destroyed after everything that the library makes static when it is used.
std::optional<broker> static_broker;
std::optional<database> static_database;
std::unique_ptr<client> static_client;
std::unique_ptr<front_door> static_door;

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

template <class T> std::string word_of(const caf::expected<T>& x) {
  return x ? "ok" : fmt::format("{}: {}", to_string(code_of(x.error())), describe(x.error()).message);
}

template <class T> void say(const char* what, const caf::expected<T>& x) { say(fmt::format("{} {}", what, word_of(x))); }

database open_app(broker& from) {
  auto db = need(from.open_database("app.db"));
  need(db.write(make_tables()));
  return db;
}

void open_static() {
  static_broker.emplace(need(broker::open(config_of(folder))));
  static_database.emplace(open_app(*static_broker));
}

void acknowledge(int64_t id) {
  need(static_database->write(insert(id)));
  say(fmt::format("acknowledged {}", id));
}

void write_until_refused(database db) {
  for (int64_t id = 1'000; db.write(insert(++id));)
    continue;
}

// --- the end of a program

void exit_opened() { static_broker.emplace(need(broker::open(config_of(folder)))); }

void exit_used() {
  open_static();
  acknowledge(1);
  need(static_database->read(count_rows()));
  need(static_database->write_async(insert(2)).get());
  static_broker->log(log_level::info, "host", "text");
}

void exit_shut_down() {
  open_static();
  acknowledge(1);
  static_broker->shutdown();
}

void exit_reopened() {
  open_static();
  static_broker.reset();
  open_static();
  acknowledge(1);
}

void exit_client() {
  client_options options;
  options.start_broker = false;
  static_client = need(open_client(folder, options));
  need(static_client->write(make_tables()));
  need(static_client->write(insert(1)));
  for (auto i = 2; i < 50; ++i)
    static_cast<void>(static_client->write_async(insert(i)));
}

void exit_door() {
  open_static();
  static_door = need(front_door::open(*static_broker, {}));
  client_options options;
  options.require_broker = true;
  static_client = need(open_client(folder, options));
  need(static_client->write(insert(1)));
  for (auto i = 2; i < 50; ++i)
    static_cast<void>(static_client->write_async(insert(i)));
}

void exit_under_threads() {
  open_static();
  for (auto i = 0; i < 8; ++i)
    std::thread{[i] {
      for (int64_t id = 1; static_database->write(insert(1'000'000 * i + id)); ++id)
        continue;
    }}.detach();
  while (*need(static_database->read(count_rows())).rows->at(0, 0).integer() < 100)
    std::this_thread::yield();
}

// Static objects of the library that were used before are destroyed before this broker.
void exit_after_lingering() {
  {
    auto first = need(broker::open(config_of(folder)));
    first.system().spawn([db = open_app(first)](caf::event_based_actor*) -> caf::behavior { return {[](int) {}}; });
  }
  open_static();
  acknowledge(1);
  static_broker->system().spawn([](caf::event_based_actor*) -> caf::behavior { return {[](int) {}}; });
}

void exit_in_actor() {
  open_static();
  static_broker->system().spawn([](caf::event_based_actor* self) {
    static_database->write(self, insert(1)).then([](const write_result&) {
      say("acknowledged 1");
      std::exit(3);
    });
  });
  for (;;)
    pause();
}

void exit_in_actor_after_lingering() {
  exit_after_lingering();
  exit_in_actor();
}

void exit_in_thread() {
  open_static();
  std::thread{[] {
    acknowledge(1);
    std::exit(3);
  }}.detach();
  write_until_refused(*static_database);
  for (;;)
    pause();
}

void exit_quickly() {
  open_static();
  acknowledge(1);
  std::quick_exit(0);
}

// Everything at once, by static objects of the host, in the order that belongs to the number.
struct static_end {
  std::unique_ptr<situation> all;
  std::optional<watchdog> limit;
  order parts;

  void begin(home where) {
    all = std::make_unique<situation>(where, folder);
    parts = nth_order(number, all->has_system());
    say(name_of(parts));
    limit.emplace("static destruction of " + name_of(parts));
  }

  ~static_end() {
    if (!all)
      return;
    try {
      all->end_all(parts);
      all->settle();
      limit.reset();
      all->require_writes();
      all.reset();
      say("settled");
    } catch (const std::exception& why) {
      say(why.what());
    }
  }
} static_situation;

// --- forks

void await_child(pid_t child) {
  auto give_up = std::chrono::steady_clock::now() + time_to_end;
  int status = 0;
  while (waitpid(child, &status, WNOHANG) != child) {
    if (std::chrono::steady_clock::now() > give_up) {
      say("the child hangs");
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return;
    }
    std::this_thread::sleep_for(1ms);
  }
  say(WIFEXITED(status) ? fmt::format("the child exits {}", WEXITSTATUS(status))
                        : fmt::format("the child is killed by {}", WTERMSIG(status)));
}

// What the child does; it ends with `_exit(0)`.
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

// The child destroys what it has from its parent.
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
  open_static();
  static_door = need(front_door::open(*static_broker, {}));
  std::fflush(stdout);
  auto child = fork();
  if (child == 0)
    std::exit(0);
  await_child(child);
  say("parent", static_database->write(insert(1)));
}

// A worker that was forked lives on when its host has been killed, and keeps nothing of the store.
void fork_orphan() {
  std::array<int, 2> pipes{};
  if (pipe(pipes.data()) != 0)
    throw std::runtime_error("no pipe");
  auto host = fork();
  if (host == 0) {
    auto own = need(broker::open(config_of(folder)));
    auto db = open_app(own);
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
      auto own = need(broker::open(config_of(folder / ("child" + std::to_string(i)))));
      need(open_app(own).write(insert(1)));
      client_options options;
      options.require_broker = true;
      auto guest = need(open_client(folder / "host", options));
      need(guest->write(insert(static_cast<int64_t>(i) + 1)));
    });
  is_over = true;
  for (auto& x : writers)
    x.join();
}

// The child takes over the store that its parent led.
void fork_heir() {
  std::array<int, 2> pipes{};
  if (pipe(pipes.data()) != 0)
    throw std::runtime_error("no pipe");
  auto host = fork();
  if (host == 0) {
    auto own = need(broker::open(config_of(folder)));
    auto db = open_app(own);
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
    // Until the parent is dead.
    close(pipes[1]);
    char none = 0;
    auto config = config_of(folder);
    config.lock_wait = 0ms;
    auto early = broker::open(config);
    say("while the parent lives", early);
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
  std::this_thread::sleep_for(1s);
  kill(host, SIGKILL);
  waitpid(host, nullptr, 0);
}

const std::map<std::string, std::function<void()>> cases{
  {"exit_opened", exit_opened},
  {"exit_used", exit_used},
  {"exit_shut_down", exit_shut_down},
  {"exit_reopened", exit_reopened},
  {"exit_client", exit_client},
  {"exit_door", exit_door},
  {"exit_under_threads", exit_under_threads},
  {"exit_after_lingering", exit_after_lingering},
  {"exit_in_actor", exit_in_actor},
  {"exit_in_actor_after_lingering", exit_in_actor_after_lingering},
  {"exit_in_thread", exit_in_thread},
  {"exit_quickly", exit_quickly},
  {"exit_own_system", [] { static_situation.begin(home::own); }},
  {"exit_one_thread", [] { static_situation.begin(home::one_thread); }},
  {"exit_eight_threads", [] { static_situation.begin(home::eight_threads); }},
  {"fork_uses", fork_uses},
  {"fork_returns", fork_returns},
  {"fork_exits", fork_exits},
  {"fork_orphan", fork_orphan},
  {"fork_while_writing", fork_while_writing},
  {"fork_heir", fork_heir},
};

} // namespace

int main(int argc, char** argv) {
  if (argc < 3 || !cases.contains(argv[1]))
    return 2;
  folder = argv[2];
  number = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 0;
  try {
    cases.at(argv[1])();
    return 0;
  } catch (const std::exception& why) {
    say(why.what());
    return 1;
  }
}
