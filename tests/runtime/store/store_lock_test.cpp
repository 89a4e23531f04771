#include "runtime/store/store_lock.hpp"

#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <future>
#include <spawn.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace sluice::test::store_lock_test {

using Catch::Contains;
namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds now{0};

struct fixture {
  test::temp_dir dir;
  store_root root;

  fixture() : root(open()) {}

  store_root open() const {
    auto result = store_root::open(dir.path());
    REQUIRE(result);
    return std::move(*result);
  }

  store_lock lock() const {
    auto result = store_lock::acquire(root, now);
    REQUIRE(result);
    return std::move(*result);
  }

  bool is_free() const {
    auto result = store_lock::try_acquire(root);
    REQUIRE(result);
    return result->has_value();
  }
};

// The copy of the lock that a child has, in this process.
struct inherited {
  explicit inherited(const store_lock& from) : file(dup(from.file_fd())), claim(dup(from.claim_fd())) {}
  descriptor file;
  descriptor claim;
};

// A process of its own that takes the lock, reports it, and keeps it until it is ended.
class other_leader {
public:
  explicit other_leader(const store_root& root) {
    int ready[2];
    int end[2];
    REQUIRE(pipe(ready) == 0);
    REQUIRE(pipe(end) == 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(end[1]);
      auto lock = store_lock::acquire(root, std::chrono::milliseconds{0});
      char c = lock ? 'y' : 'n';
      if (write(ready[1], &c, 1) == 1 && read(end[0], &c, 1) >= 0)
        _exit(0);
      _exit(1);
    }
    close(ready[1]);
    close(end[0]);
    end_ = end[1];
    char c = 'n';
    REQUIRE(read(ready[0], &c, 1) == 1);
    close(ready[0]);
    leads_ = c == 'y';
  }

  ~other_leader() { stop(); }

  void stop() {
    if (pid_ <= 0)
      return;
    close(end_);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  bool leads() const { return leads_; }
  pid_t pid() const { return pid_; }

private:
  pid_t pid_ = 0;
  int end_ = -1;
  bool leads_ = false;
};

// A program that inherited the lock as descriptors 8 and 9 without using them.
class heir {
public:
  explicit heir(const store_lock& lock) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, lock.file_fd(), 8);
    posix_spawn_file_actions_adddup2(&actions, lock.claim_fd(), 9);
    std::string program = "sleep";
    std::string time = "1000";
    char* arguments[] = {program.data(), time.data(), nullptr};
    REQUIRE(posix_spawnp(&pid_, program.c_str(), &actions, nullptr, arguments, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
  }

  ~heir() { kill(); }

  void kill() {
    if (pid_ <= 0)
      return;
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

private:
  pid_t pid_ = 0;
};

} // namespace

TEST_CASE("only one process leads a store, and the error of the other names the leader") {
  fixture r;
  other_leader other{r.root};
  REQUIRE(other.leads());
  auto lock = store_lock::acquire(r.root, now);
  REQUIRE_FALSE(lock);
  auto reason = describe(lock.error());
  CHECK(reason.code == errc::busy);
  CHECK_THAT(reason.message, Contains("another process leads this store (pid " + std::to_string(other.pid()) + ","));
  CHECK_THAT(reason.message, Contains("sluice stop"));
  CHECK(reason.attempts == 1);
  struct stat info {};
  REQUIRE(lstat(r.root.lock_path().c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
}

TEST_CASE("the lock is requested again until the wait is over") {
  fixture r;
  other_leader other{r.root};
  auto lock = store_lock::acquire(r.root, std::chrono::milliseconds{300});
  REQUIRE_FALSE(lock);
  CHECK(describe(lock.error()).attempts > 2);
  CHECK(describe(lock.error()).waited_ms >= 300);
}

TEST_CASE("a process that waits for the lock gets it when its holder ends") {
  fixture r;
  other_leader other{r.root};
  auto waiting = std::async(std::launch::async, [&] { return store_lock::acquire(r.root, std::chrono::minutes{1}); });
  other.stop();
  CHECK(waiting.get());
}

TEST_CASE("a lock is held once within a process, and leaves nothing behind when it is released") {
  fixture r;
  {
    auto first = r.lock();
    auto second = store_lock::acquire(r.root, now);
    REQUIRE_FALSE(second);
    CHECK_THAT(describe(second.error()).message, Contains("this process"));
    auto moved = std::move(first);
    CHECK_FALSE(r.is_free());
    first = std::move(moved);
    CHECK_FALSE(r.is_free());
  }
  CHECK_FALSE(fs::exists(r.root.lock_path()));
  CHECK(other_leader{r.root}.leads());
}

TEST_CASE("a lock file that a dead leader left behind is locked like a new one") {
  fixture r;
  other_leader{r.root}.stop();
  REQUIRE(fs::exists(r.root.lock_path()));
  CHECK(r.is_free());
}

TEST_CASE("a forked child that ends does not release its parent's lock") {
  fixture r;
  auto lock = r.lock();
  auto child = fork();
  if (child == 0) {
    { auto copy = std::move(lock); }
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  CHECK(lock.still_ours());
  CHECK_FALSE(other_leader{r.root}.leads());
}

TEST_CASE("while a leader lives no other process leads, even if .sluice/ was deleted under it") {
  fixture r;
  {
    auto lock = r.lock();
    CHECK(lock.still_ours());
    fs::remove_all(r.root.folder());
    CHECK_FALSE(lock.still_ours());
    CHECK_FALSE(r.is_free());
    CHECK_FALSE(other_leader{r.root}.leads());
    auto refused = store_lock::acquire(r.root, now);
    REQUIRE_FALSE(refused);
    CHECK(code_of(refused.error()) == errc::busy);
  }
  CHECK(r.is_free());
}

TEST_CASE("a leader whose lock file was replaced does not remove the new one when it releases its lock") {
  fixture r;
  {
    auto lock = r.lock();
    fs::remove(r.root.lock_path());
    std::ofstream{r.root.lock_path()} << "another's";
  }
  CHECK(fs::file_size(r.root.lock_path()) > 0);
}

TEST_CASE("a lock that was won is that of the file at the path, even if it is removed meanwhile") {
  fixture r;
  std::atomic<int> holders = 0;
  std::atomic<int> won = 0;
  std::atomic<int> overlaps = 0;
  std::atomic<int> orphans = 0;
  auto contend = [&] {
    while (won < 3'000) {
      auto lock = store_lock::try_acquire(r.root);
      if (!lock || !*lock)
        continue;
      ++won;
      overlaps += holders++ > 0;
      orphans += !(*lock)->still_ours();
      --holders;
      // Releasing removes the file. A process that has opened it may still lock it, but that lock has no effect.
    }
  };
  std::vector<std::thread> threads;
  for (auto i = 0; i < 4; ++i)
    threads.emplace_back(contend);
  for (auto& each : threads)
    each.join();
  CHECK(overlaps == 0);
  CHECK(orphans == 0);
}

TEST_CASE("a program that inherited the lock's descriptors keeps the lock after its parent has closed them") {
  fixture r;
  auto lock = r.lock();
  heir program{lock};
  lock.forget();
  CHECK_FALSE(lock.still_ours());
  CHECK_FALSE(r.is_free());
  program.kill();
  CHECK(r.is_free());
}

TEST_CASE("a program without the lock's descriptors does not inherit them") {
  fixture r;
  {
    auto lock = r.lock();
    CHECK((fcntl(lock.file_fd(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl(lock.claim_fd(), F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK(r.is_free());
}

TEST_CASE("a released lock is free, even if children still have copies") {
  fixture r;
  std::optional<store_lock> lock = r.lock();
  heir program{*lock};
  lock.reset();
  CHECK(r.is_free());
}

TEST_CASE("an abandoned lock that no child inherited is free") {
  fixture r;
  r.lock().forget();
  CHECK(r.is_free());
}

TEST_CASE("the lock is adopted with its descriptors, and released by its new owner") {
  fixture r;
  auto lock = r.lock();
  inherited copies{lock};
  lock.forget();
  {
    auto adopted = store_lock::adopt(r.root, copies.file.release(), copies.claim.release());
    REQUIRE(adopted);
    CHECK(adopted->still_ours());
    CHECK((fcntl(adopted->file_fd(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl(adopted->claim_fd(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK_FALSE(r.is_free());
  }
  CHECK_FALSE(fs::exists(r.root.lock_path()));
  CHECK(r.is_free());
}

TEST_CASE("descriptors that are not those of the store's lock are not adopted") {
  fixture r;
  fixture other;
  auto lock = r.lock();
  auto others = other.lock();
  auto refusal = [&](int file, int claim) {
    auto result = store_lock::adopt(r.root, file, claim);
    REQUIRE_FALSE(result);
    return code_of(result.error());
  };
  CHECK(refusal(lock.file_fd(), others.claim_fd()) == errc::invalid_request);
  CHECK(refusal(others.file_fd(), lock.claim_fd()) == errc::invalid_request);
  CHECK(refusal(lock.claim_fd(), lock.file_fd()) == errc::invalid_request);
  CHECK(refusal(lock.file_fd(), lock.file_fd()) == errc::invalid_request);
  CHECK(refusal(-1, -1) == errc::invalid_request);
  // Opened separately, so that the lock belongs to another open file.
  descriptor file{open(r.root.lock_path().c_str(), O_RDWR | O_CLOEXEC)};
  CHECK(refusal(file.get(), lock.claim_fd()) == errc::busy);
  fs::remove_all(r.root.folder());
  CHECK(refusal(lock.file_fd(), lock.claim_fd()) == errc::invalid_request);
}

TEST_CASE("a flock on the folder itself blocks no leader") {
  fixture r;
  descriptor folder{open(r.root.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  REQUIRE(flock(folder.get(), LOCK_EX | LOCK_NB) == 0);
  CHECK(r.is_free());
}

TEST_CASE("a folder in which a broker of another store works cannot be led, and is not made a store") {
  test::temp_dir dir;
  auto root = store_root::open(dir.path());
  REQUIRE(root);
  pid_t holder = 0;
  auto claim = folder_claim::try_acquire(root->identity(), holder);
  REQUIRE((claim && *claim));
  (*claim)->begin_to_lead(root->identity());
  // The refusal is immediate, because only this process could end the wait.
  auto refused = store_lock::acquire(*root, std::chrono::hours{1});
  REQUIRE_FALSE(refused);
  auto reason = describe(refused.error());
  CHECK(reason.code == errc::busy);
  CHECK_THAT(reason.message, Contains("as part of another store"));
  CHECK_FALSE(fs::exists(root->folder()));
  claim = std::nullopt;
  CHECK(store_lock::acquire(*root, now));
}

TEST_CASE("a folder that was put in the place of a store is not locked as that store") {
  test::temp_dir dir;
  fs::create_directory(dir / "root");
  auto root = store_root::open(dir / "root");
  REQUIRE(root);
  fs::rename(dir / "root", dir / "moved");
  fs::create_directory(dir / "root");
  auto refused = store_lock::try_acquire(*root);
  REQUIRE_FALSE(refused);
  CHECK(code_of(refused.error()) == errc::wrong_store);
  CHECK_FALSE(fs::exists(dir / "root/.sluice"));
}

TEST_CASE("a lock file that others could open is renamed, even if it is locked") {
  fixture r;
  REQUIRE(r.root.make_folder());
  std::ofstream{r.root.lock_path()} << "planted";
  fs::permissions(r.root.lock_path(), fs::perms{0644});
  descriptor planted_lock{open(r.root.lock_path().c_str(), O_RDONLY | O_CLOEXEC)};
  REQUIRE(flock(planted_lock.get(), LOCK_EX | LOCK_NB) == 0);
  auto lock = r.lock();
  CHECK(lock.still_ours());
  CHECK(fs::status(r.root.lock_path()).permissions() == fs::perms{0600});
  size_t aside = 0;
  for (const auto& entry : fs::directory_iterator{r.root.folder()})
    aside += entry.path().filename().native().starts_with("broker.lock.untrusted-") ? 1 : 0;
  CHECK(aside == 1);
}

} // namespace sluice::test::store_lock_test
