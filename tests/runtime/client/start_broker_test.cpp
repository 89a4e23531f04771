#include "tests/runtime/client/election_fixture.hpp"

#include <csignal>
#include <fstream>
#include <sys/stat.h>

namespace sluice::test::start_broker_test {

using Catch::Contains;

TEST_CASE("a program is started as a broker: in a session of its own, with the lock and nothing else") {
  election_fixture r;
  auto out = (r.dir / "out").string();
  auto program = r.program("{ echo \"$@\"; pwd; ls /proc/self/fd; ps -o sid= -p $$; echo $$; } >" + out
                           + "\n"
                             "echo to the log >&2; echo ready >&5; exec sleep 1000 >/dev/null 2>&1 5>&- &");
  // Any descriptor of the host, even one that it forgot to mark.
  descriptor leak{dup(STDIN_FILENO)};
  auto lock = r.lock();
  CHECK(start(r, program, lock).result == state::ready);
  CHECK_FALSE(lock.still_ours());
  CHECK_FALSE(r.is_free());
  std::istringstream words{r.said("out")};
  std::string line;
  std::getline(words, line);
  CHECK(line
        == "serve " + fs::canonical(r.root.path()).string() + " --transient --lock-fd 3 --claim-fd 4 --ready-fd 5");
  std::getline(words, line);
  CHECK(line == "/");
  std::vector<int> numbers;
  for (int number = 0; words >> number;)
    numbers.push_back(number);
  REQUIRE(numbers.size() >= 8);
  auto session = numbers[numbers.size() - 2];
  CHECK(session == numbers.back());
  CHECK(session != getsid(0));
  // 0 to 5, and that of `ls` itself.
  CHECK(numbers.size() == 9);
  std::ifstream log{r.root.folder() / "broker.log"};
  std::getline(log, line);
  CHECK(line == "to the log");
  CHECK(fs::status(r.root.folder() / "broker.log").permissions() == fs::perms{0600});
  kill(-session, SIGKILL);
}

TEST_CASE("a broker is started with no signal blocked or ignored, whatever its host does with them") {
  election_fixture r;
  auto out = (r.dir / "out").string();
  auto program = r.program("sed -En 's/^Sig(Blk|Ign):[[:space:]]*//p' /proc/self/status >" + out + "; echo ready >&5");
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  auto* was = std::signal(SIGTERM, SIG_IGN);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  auto lock = r.lock();
  auto started = start(r, program, lock);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  std::signal(SIGTERM, was);
  CHECK(started.result == state::ready);
  std::istringstream words{r.said("out")};
  uint64_t blocked = 1;
  uint64_t ignored = 1;
  REQUIRE(words >> std::hex >> blocked >> ignored);
  CHECK(blocked == 0);
  // The C library reserves two signals beyond the first 31.
  CHECK((ignored & 0x7fffffff) == 0);
}

TEST_CASE("the report of a starting broker is read") {
  election_fixture r;
  auto lock = r.lock();
  auto begun = std::chrono::steady_clock::now();
  SECTION("that it cannot serve") {
    auto result = start(r, r.program("echo 'error not_authorized the folder is not ours' >&5"), lock);
    CHECK(result.result == state::refused);
    CHECK(result.reason == "not_authorized the folder is not ours");
  }
  SECTION("that it died") { CHECK(start(r, r.program("exit 3"), lock).result == state::died); }
  SECTION("half a line") { CHECK(start(r, r.program("printf rea >&5"), lock).result == state::died); }
  SECTION("output that is no report") {
    CHECK(start(r, r.program("head -c 100000 /dev/zero >&5"), lock).result == state::died);
  }
  CHECK(std::chrono::steady_clock::now() - begun < 5s);
  CHECK(r.is_free());
}

TEST_CASE("a broker that is slow to start keeps the lock after its client has given up") {
  election_fixture r;
  auto lock = r.lock();
  auto out = (r.dir / "out").string();
  auto result = start(r, r.program("echo $$ >" + out + "; exec sleep 1000"), lock, 300ms);
  CHECK(result.result == state::silent);
  { auto over = std::move(lock); }
  CHECK_FALSE(r.is_free());
  while (r.said("out").find('\n') == std::string::npos)
    std::this_thread::yield();
  kill(-std::stoi(r.said("out")), SIGKILL);
}

TEST_CASE("a program that cannot be started leaves the lock with the caller") {
  election_fixture r;
  auto lock = r.lock();
  std::ofstream{r.dir / "text"} << "no program";
  CHECK(start(r, r.dir / "missing", lock).result == state::not_started);
  CHECK(start(r, r.dir / "text", lock).result == state::not_started);
  CHECK(lock.still_ours());
}

TEST_CASE("a long log is truncated, and a path that is not a file is left alone") {
  election_fixture r;
  auto path = r.root.folder() / "broker.log";
  auto lock = r.lock();
  auto program = r.program("echo hello >&2; echo ready >&5");
  SECTION("a long one") {
    std::ofstream{path} << std::string((1 << 20) + 1, 'x');
    CHECK(start(r, program, lock).result == state::ready);
    CHECK(fs::file_size(path) == 6);
  }
  SECTION("a shorter one") {
    std::ofstream{path} << "before\n";
    // One that others may read would be made anew.
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
    CHECK(start(r, program, lock).result == state::ready);
    CHECK(fs::file_size(path) == 13);
  }
  SECTION("a link") {
    std::ofstream{r.dir / "elsewhere"} << "mine";
    fs::create_symlink(r.dir / "elsewhere", path);
    CHECK(start(r, program, lock).result == state::ready);
    CHECK(r.said("elsewhere") == "mine");
  }
}

TEST_CASE("the program is the one that was named, or the one in the search path") {
  election_fixture r;
  auto program = r.program("");
  auto old_path = std::string{std::getenv("PATH")};
  unsetenv("SLUICE_PROGRAM");
  CHECK(broker_program(program) == program);
  CHECK(broker_program(r.dir / "missing").empty());
  setenv("PATH", ("relative::" + r.dir.path().string() + ":" + old_path).c_str(), 1);
  CHECK(broker_program({}) == program);
  setenv("SLUICE_PROGRAM", (r.dir / "missing").c_str(), 1);
  CHECK(broker_program({}).empty());
  setenv("SLUICE_PROGRAM", program.c_str(), 1);
  setenv("PATH", "", 1);
  CHECK(broker_program({}) == program);
  unsetenv("SLUICE_PROGRAM");
  CHECK(broker_program({}).empty());
  setenv("PATH", old_path.c_str(), 1);
}

} // namespace sluice::test::start_broker_test
