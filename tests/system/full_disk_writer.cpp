// Fills a small disk with writes, makes room, continues, and checks that exactly the acknowledged writes are there. The
// disk is a tmpfs in a mount namespace of its own; where that is not permitted, a bound on the size of files replaces
// it. Prints which of the two on standard output; the exit status is 0 when all is well.
//
//   full_disk_writer FOLDER [file-bound]

#include "runtime/broker/broker.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <sched.h>
#include <set>
#include <string>
#include <sys/mount.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

namespace {

constexpr int small_disk = 2 << 20;
constexpr int ballast_bytes = 512 << 10;
constexpr int most_writes = 10'000;
constexpr uint64_t log_entries = 60;

// The limit that makes the broker run out of room.
enum class means { tmpfs, file_bound };

bool write_file(const char* path, const std::string& text) {
  std::ofstream out{path};
  out << text;
  return static_cast<bool>(out.flush());
}

bool own_namespace() {
  auto uid = geteuid();
  auto gid = getegid();
  if (uid == 0 && unshare(CLONE_NEWNS) == 0)
    return true;
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
    return false;
  return write_file("/proc/self/setgroups", "deny")
         && write_file("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1")
         && write_file("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
}

means make_small_disk(const std::string& folder, bool wants_file_bound) {
  auto options = "size=" + std::to_string(small_disk);
  if (!wants_file_bound && own_namespace() && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0
      && mount("tmpfs", folder.c_str(), "tmpfs", 0, options.c_str()) == 0)
    return means::tmpfs;
  // A write past the bound would end the process otherwise.
  signal(SIGXFSZ, SIG_IGN);
  rlimit bound{small_disk, RLIM_INFINITY};
  setrlimit(RLIMIT_FSIZE, &bound);
  return means::file_bound;
}

void make_room(means disk, const std::string& ballast) {
  if (disk == means::tmpfs)
    unlink(ballast.c_str());
  rlimit none{RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_FSIZE, &none);
}

class scenario {
public:
  scenario(means disk, std::string folder) : disk_(disk), folder_(std::move(folder)) {}

  bool run() {
    auto ballast = folder_ + "/ballast";
    if (!write_file(ballast.c_str(), std::string(ballast_bytes, 'b')))
      return wrong("the ballast cannot be written");
    sluice::broker_config config;
    config.root = folder_;
    // Clean-up would make room too early.
    config.idle_after = std::chrono::hours{1};
    auto broker = sluice::broker::open(config);
    if (!broker)
      return wrong("the broker cannot be opened", broker.error());
    auto db = broker->open_database("app.db");
    if (!db)
      return wrong("the database cannot be opened", db.error());
    auto made = db->write("writer", "CREATE TABLE log (n INTEGER PRIMARY KEY, text TEXT NOT NULL)");
    if (!made)
      return wrong("the table cannot be made", made.error());
    if (!fill(*db) || !refuse_again(*db) || !log_in_vain(*broker))
      return false;
    make_room(disk_, ballast);
    if (!append(*db, 1'000'000))
      return wrong("nothing can be written after room was made");
    if (!check_audit(*broker) || !check_log(*broker))
      return false;
    broker->shutdown();
    return check();
  }

private:
  bool append(const sluice::database& db, int n) {
    auto done = db.write("writer", "INSERT INTO log (n, text) VALUES (?, ?)", {n, std::string(8'000, 'x')});
    if (done) {
      acknowledged_.insert(n);
      return true;
    }
    auto error = sluice::describe(done.error());
    code_ = error.code;
    if (error.outcome != sluice::outcome::not_committed)
      return wrong("a refused write did not say not_committed");
    return false;
  }

  bool is_full() const {
    return code_ == sluice::errc::disk_full || (disk_ == means::file_bound && code_ == sluice::errc::io_error);
  }

  bool fill(const sluice::database& db) {
    for (int n = 1; n < most_writes; ++n)
      if (!append(db, n))
        return is_full() || wrong("a full disk was not called disk_full");
    return wrong("the disk was never full");
  }

  // Every write to a full disk is refused, and reads are served meanwhile. With a bound on the size of files, a restart
  // of the WAL may make room.
  bool refuse_again(const sluice::database& db) {
    for (int n = most_writes; n < most_writes + 5; ++n) {
      if (append(db, n)) {
        if (disk_ == means::file_bound)
          continue;
        return wrong("a write of the same size fitted after all");
      }
      if (!is_full())
        return wrong("a full disk was called something else the next time");
    }
    sluice::read_request request;
    request.agent = "reader";
    request.query.sql = "SELECT count(*) FROM log";
    request.freshness = sluice::freshness::fresh;
    auto seen = db.read(request);
    if (!seen)
      return wrong("a full disk stopped the readers", seen.error());
    return *seen->rows->at(0, 0).integer() == static_cast<int64_t>(acknowledged_.size())
           || wrong("a reader saw something else than what was acknowledged");
  }

  // The log is on the same disk; threads that log do not notice that it is full.
  bool log_in_vain(const sluice::broker& broker) {
    for (uint64_t n = 0; n < log_entries; ++n)
      broker.log(sluice::log_level::info, "writer", std::to_string(n));
    // Waits until the log actor has written the entries, or tried to.
    static_cast<void>(broker.recent_logs({}));
    auto status = broker.status().log;
    return (disk_ == means::file_bound || (status.failing && status.queued == log_entries))
           || wrong("the log was written on a full disk, or entries are missing");
  }

  bool check_log(const sluice::broker& broker) {
    auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes{1};
    while (broker.status().log.written < log_entries) {
      if (std::chrono::steady_clock::now() > give_up)
        return wrong("the log was not written after room was made");
      std::this_thread::yield();
    }
    auto page = broker.recent_logs({});
    return (page && page->entries.size() == log_entries) || wrong("entries of the log are missing");
  }

  // The audit is on the same disk, and still has every acknowledged write.
  bool check_audit(const sluice::broker& broker) {
    auto verdict = broker.verify_audit();
    if (!verdict || !verdict->intact())
      return wrong("the audit is broken", verdict ? caf::error{} : verdict.error());
    sluice::audit_query query;
    query.status = "committed";
    query.limit = most_writes;
    auto page = broker.audit(query);
    // The creation of the table is one more write.
    return (page && page->records.size() == acknowledged_.size() + 1)
           || wrong("the audit lacks something that was acknowledged");
  }

  bool check() {
    auto db = sluice::sqlite::connection::open(folder_ + "/app.db", {});
    if (!db)
      return wrong("the file cannot be opened", db.error());
    auto rows = sluice::sqlite::prepared_statement::prepare(*db, "SELECT n FROM log ORDER BY n");
    std::set<int> present;
    while (rows && rows->step().value())
      present.insert(static_cast<int>(rows->integer(0)));
    if (present != acknowledged_)
      return wrong("the file holds something else than what was acknowledged");
    auto sound = sluice::sqlite::prepared_statement::prepare(*db, "PRAGMA integrity_check");
    if (!sound || !sound->step() || sound->text(0) != "ok")
      return wrong("the file is not sound");
    std::printf("%zu writes acknowledged, then %s\n", acknowledged_.size(), std::string{to_string(code_)}.c_str());
    return true;
  }

  bool wrong(const char* action, const caf::error& error = {}) {
    std::printf("WRONG: %s%s%s\n", action, error ? ": " : "", sluice::describe(error).message.c_str());
    return false;
  }

  means disk_;
  std::string folder_;
  std::set<int> acknowledged_;
  sluice::errc code_ = sluice::errc::internal;
};

} // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3)
    return 2;
  auto disk = make_small_disk(argv[1], argc == 3);
  std::printf("%s\n", disk == means::tmpfs ? "tmpfs" : "a bound on the size of files");
  return scenario{disk, argv[1]}.run() ? 0 : 1;
}
