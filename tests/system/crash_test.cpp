#include "tests/support/audit_records.hpp"
#include "tests/system/fixture.hpp"

#include <csignal>
#include <cstdio>
#include <random>
#include <set>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sluice::test::crash_test {

namespace {

constexpr int keys = 400;

// The keyed_writer program, with its acknowledgements on a pipe.
class victim {
public:
  victim(const std::filesystem::path& folder, int first, int last) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    std::string program = KEYED_WRITER;
    std::string arguments[] = {folder.string(), std::to_string(first), std::to_string(last)};
    char* argv[] = {program.data(), arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
    REQUIRE(posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    out_ = fdopen(ends[0], "r");
  }

  victim(const victim&) = delete;
  victim& operator=(const victim&) = delete;
  ~victim() { std::fclose(out_); }

  // The next acknowledged key; 0 at the end.
  int next() {
    int n = 0;
    return std::fscanf(out_, "%d", &n) == 1 ? n : 0;
  }

  void kill() { ::kill(pid_, SIGKILL); }

  int wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    return status;
  }

private:
  pid_t pid_ = 0;
  std::FILE* out_ = nullptr;
};

} // namespace

TEST_CASE("after any number of SIGKILLs, retrying with the same keys leaves one row per key", "[system]") {
  temp_dir folder;
  std::mt19937 random{std::random_device{}()};
  std::set<int> acknowledged;
  for (int i = 0; i < soak(50); ++i) {
    // Keys overlap with those of earlier rounds, so that many of them are repeated.
    auto first = static_cast<int>(1 + random() % keys);
    victim process{folder.path(), first, keys};
    auto until = random() % 12;
    for (unsigned seen = 0; seen < until; ++seen)
      if (auto n = process.next())
        acknowledged.insert(n);
    process.kill();
    process.wait();
    // The lines still in the pipe had been acknowledged as well.
    while (auto n = process.next())
      acknowledged.insert(n);
  }
  auto file = folder.path() / "app.db";
  CHECK(acknowledged.size() > 50);
  for (auto n : acknowledged) {
    INFO(n);
    CHECK(integer_of(file, "SELECT count(*) FROM log WHERE n = " + std::to_string(n)) == 1);
  }

  victim last_round{folder.path(), 1, keys};
  while (last_round.next() != 0) {
  }
  CHECK(last_round.wait() == 0);
  CHECK(integer_of(file, "SELECT count(*) FROM log") == keys);
  CHECK(integer_of(file, "SELECT count(DISTINCT n) FROM log") == keys);
  CHECK(integer_of(file, "SELECT count(*) FROM _sluice_keys") == keys);
  require_sound(file);

  auto host = open_broker(folder.path());
  must(host.open_database("app.db"));
  auto verdict = must(host.verify_audit());
  INFO(verdict.reason);
  CHECK(verdict.intact());
  auto audit = folder.path() / ".sluice" / "audit.db";
  std::multiset<std::string> audited;
  for (const auto& record : audit_records_in(audit))
    if (record.status == "committed" && record.request_id.starts_with("request-"))
      audited.insert(record.request_id);
  CHECK(static_cast<int64_t>(audited.size()) == keys);
  CHECK(std::set<std::string>(audited.begin(), audited.end()).size() == audited.size());
}

} // namespace sluice::test::crash_test
