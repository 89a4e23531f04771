#include "runtime/doctor/leadership.hpp"
#include "runtime/doctor/processes.hpp"
#include "runtime/doctor/wal_view.hpp"
#include "runtime/os/descriptor.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sluice::test::processes_test {

using namespace sluice::doctor;
using sluice::test::temp_dir;

namespace {

// Another process, which has run a function and waits until it is ended.
class child {
public:
  explicit child(const std::function<void()>& does) {
    std::array<int, 2> ready{};
    REQUIRE(pipe(ready.data()) == 0);
    pid_ = fork();
    if (pid_ == 0) {
      does();
      if (write(ready[1], "x", 1) == 1)
        for (;;)
          pause();
      _exit(1);
    }
    close(ready[1]);
    char word = 0;
    auto started = read(ready[0], &word, 1) == 1;
    close(ready[0]);
    REQUIRE(started);
  }
  child(const child&) = delete;
  child& operator=(const child&) = delete;
  ~child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const noexcept { return pid_; }

private:
  pid_t pid_ = 0;
};

void write_file(const std::filesystem::path& path, const std::string& content = "x") {
  std::ofstream{path, std::ios::binary} << content;
}

void lock(const std::filesystem::path& path, short type, off_t byte) {
  struct flock f {};
  f.l_type = type;
  f.l_whence = SEEK_SET;
  f.l_start = byte;
  f.l_len = 1;
  fcntl(open(path.c_str(), O_RDWR), F_SETLK, &f);
}

} // namespace

TEST_CASE("processes that have a database open are found by the file, with their access", "[doctor]") {
  temp_dir root;
  write_file(root / "a.db");
  write_file(root / "b.db");
  write_file(root / "b.db-wal");
  child reader{[&] { open((root / "a.db").c_str(), O_RDONLY); }};
  child writer{[&] {
    open((root / "b.db").c_str(), O_RDWR);
    open((root / "b.db-wal").c_str(), O_RDWR);
  }};
  child of_log{[&] { open((root / "b.db-wal").c_str(), O_RDWR); }};
  // This process does not count.
  descriptor opened_here{open((root / "a.db").c_str(), O_RDWR | O_CLOEXEC)};
  auto found = find_openers(root.path(), {"a.db", "b.db", "none.db"});
  REQUIRE(found.openers.size() == 3);
  CHECK(found.openers[0] == opener{reader.pid(), command_of(reader.pid()), "a.db", false});
  CHECK(found.openers[1] == opener{writer.pid(), command_of(writer.pid()), "b.db", true});
  CHECK(found.openers[2] == opener{of_log.pid(), command_of(of_log.pid()), "b.db", false});
  CHECK_FALSE(found.openers[0].command.empty());
  CHECK(command_of(0).empty());
}

TEST_CASE("a lock is found with its present holder, also when another process took it", "[doctor]") {
  temp_dir root;
  write_file(root / "free");
  write_file(root / "lock");
  descriptor taken{open((root / "lock").c_str(), O_RDWR)};
  REQUIRE(flock(taken.get(), LOCK_EX) == 0);
  child heir{[] {}};
  taken.reset();
  child asks_in_vain{[&] { flock(open((root / "lock").c_str(), O_RDWR), LOCK_EX | LOCK_NB); }};
  auto holders = find_lock_holders({root / "free", root / "lock", root / "missing"});
  CHECK(holders[0].empty());
  CHECK(holders[1] == std::vector<pid_t>{heir.pid()});
  CHECK(holders[2].empty());
}

TEST_CASE("the leader is found by locks and files", "[doctor]") {
  temp_dir root;
  std::filesystem::create_directory(root / ".sluice");
  auto none = look_at_leadership(root.path());
  CHECK(none.leader() == 0);
  CHECK_FALSE((none.has_lock_file || none.has_socket || none.answers || none.named != 0));
  write_file(root / ".sluice/broker.lock");
  write_file(root / ".sluice/broker.json", "{\"pid\": 4711, \"socket\": 5}");
  child leader{[&] {
    flock(open((root / ".sluice/broker.lock").c_str(), O_RDWR), LOCK_EX);
    pid_t nobody = 0;
    static auto claim = folder_claim::try_acquire(*identity_of(root.path()), nobody);
  }};
  auto result = look_at_leadership(root.path());
  CHECK(result.lock_holder == leader.pid());
  CHECK(result.claim_holder == leader.pid());
  CHECK(result.named == 4711);
  write_file(root / ".sluice/broker.json", "no json");
  CHECK(look_at_leadership(root.path()).named == 0);
  write_file(root / ".sluice/broker.json", R"({"pid": 4711, "root": {"device": 1, "inode": 2}})");
  auto copied = look_at_leadership(root.path());
  CHECK(copied.named == 0);
  CHECK(copied.is_copied);
}

TEST_CASE("the process that pins a WAL is found in the WAL's index", "[doctor]") {
  temp_dir root;
  auto file = root / "a.db";
  CHECK_FALSE(look_at_wal(file));
  write_file(root / "a.db-wal", std::string(5'000, 'x'));
  CHECK_FALSE(look_at_wal(file));
  // As SQLite has it: initialized, 10 frames, 4 of them moved, marks of five readers.
  std::string index(32'768, '\0');
  auto put = [&](size_t at, uint32_t x) { index.replace(at, 4, reinterpret_cast<const char*>(&x), 4); };
  write_file(root / "a.db-shm", index);
  CHECK_FALSE(look_at_wal(file));
  index[12] = 1;
  put(16, 10);
  put(96, 4);
  put(104, 4);
  put(108, 7);
  write_file(root / "a.db-shm", index);
  child reader{[&] { lock(root / "a.db-shm", F_RDLCK, 125); }};
  child writer{[&] { lock(root / "a.db-shm", F_WRLCK, 120); }};
  auto result = look_at_wal(file);
  REQUIRE(result);
  CHECK(result->file_bytes == 5'000);
  CHECK(result->frames == 10);
  CHECK(result->moved == 4);
  CHECK(result->writer == writer.pid());
  REQUIRE(result->readers.size() == 1);
  CHECK(result->readers[0].pid == reader.pid());
  CHECK(result->readers[0].up_to == 7);
}

} // namespace sluice::test::processes_test
