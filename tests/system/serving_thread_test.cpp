#include "runtime/broker/pooled_actor.hpp"
#include "tests/system/fixture.hpp"

#include <sqlite3.h>

#include <atomic>
#include <thread>

namespace sluice::test::serving_thread_test {

namespace {

std::atomic<std::thread::id> serving;

// An SQL function that returns 1 in the thread that serves, and 0 in others.
void runs_in_serving_thread(sqlite3_context* context, int, sqlite3_value**) {
  sqlite3_result_int(context, std::this_thread::get_id() == serving.load() ? 1 : 0);
}

int add_function(sqlite3* db, const char**, const void*) {
  return sqlite3_create_function_v2(db, "runs_in_serving_thread", 0, SQLITE_UTF8, nullptr, &runs_in_serving_thread,
                                    nullptr, nullptr, nullptr);
}

// Each connection of this process has the function.
struct with_function {
  with_function() {
    serving = std::this_thread::get_id();
    sqlite3_auto_extension(entry());
  }
  ~with_function() { sqlite3_cancel_auto_extension(entry()); }

  static void (*entry())() { return reinterpret_cast<void (*)()>(&add_function); }
};

write_request insert() {
  write_request request;
  request.agent = "a";
  request.statements.push_back({"INSERT INTO t VALUES (runs_in_serving_thread())", {}});
  return request;
}

struct fixture {
  with_function function;
  temp_dir folder;
  broker host = open_broker(folder.path());
  database db = must(host.open_database("app.db"));

  fixture() {
    must(db.write("a", "CREATE TABLE t(x)"));
    // The broker knows that the write is bounded by its form after several executions.
    for (auto i = 0; i < 5; ++i)
      must(db.write(insert()));
    must(db.write("a", "DELETE FROM t"));
  }

  /// Makes the result independent of the speed of this machine.
  void know_as_short(bool is_short) {
    auto& known = host.actors().context("app.db").short_writes();
    known.clear();
    known.note_commit(std::chrono::microseconds{1});
    for (auto i = 0; is_short && i < 200; ++i)
      known.note_commit(std::chrono::microseconds{1});
    known.note(insert(), std::chrono::microseconds{1}, is_short);
    await_idle_writer();
  }

  /// The actor sends its last answer before it has handled its last message.
  void await_idle_writer() {
    auto route = host.actors().context("app.db").route();
    const auto* writer = dynamic_cast<const pooled_job*>(caf::actor_cast<caf::abstract_actor*>(route->writer));
    REQUIRE(writer);
    while (writer->has_long_work())
      std::this_thread::yield();
  }

  /// For each write that this thread sent while it served: whether this thread executed it.
  std::vector<int64_t> serve(size_t writes) {
    std::vector<std::future<caf::expected<write_result>>> answers;
    host.serve([&] {
      while (answers.size() < writes)
        answers.push_back(db.write_async(insert()));
    });
    for (auto& answer : answers)
      must(answer_of(answer));
    auto rows = must(db.read("a", "SELECT x FROM t ORDER BY rowid")).rows;
    std::vector<int64_t> result;
    for (size_t i = 0; i < rows->size(); ++i)
      result.push_back(*rows->at(i, 0).integer());
    return result;
  }
};

} // namespace

TEST_CASE("a thread that serves runs the writer of short writes itself, all of them in one commit") {
  fixture f;
  f.know_as_short(true);
  auto before = f.db.status().commits;
  CHECK(f.serve(3) == std::vector<int64_t>{1, 1, 1});
  CHECK(f.db.status().commits == before + 1);
}

TEST_CASE("a thread that serves leaves writes to the pool that are not known to be short") {
  fixture f;
  f.know_as_short(false);
  CHECK(f.serve(2) == std::vector<int64_t>{0, 0});
}

TEST_CASE("the pool runs a short write that follows one that may be long") {
  fixture f;
  f.know_as_short(true);
  std::future<caf::expected<write_result>> longer;
  std::future<caf::expected<write_result>> shorter;
  f.host.serve([&] {
    shorter = f.db.write_async(insert());
    write_request other;
    other.agent = "b";
    other.statements.push_back({"UPDATE t SET x = x", {}});
    longer = f.db.write_async(other);
  });
  must(answer_of(shorter));
  must(answer_of(longer));
  CHECK(must(f.db.read("a", "SELECT x FROM t")).rows->at(0, 0) == value{0});
}

TEST_CASE("a lock that another program holds does not keep a thread that serves waiting") {
  fixture f;
  f.know_as_short(true);
  sqlite::connection_options options;
  options.mode = sqlite::open_mode::read_write_create;
  auto other = must(sqlite::connection::open(f.folder / "app.db", options));
  must(other.exec("BEGIN IMMEDIATE"));
  std::future<caf::expected<write_result>> answer;
  f.host.serve([&] { answer = f.db.write_async(insert()); });
  // It has tried once, without waiting; the pool makes the next attempt.
  CHECK(answer.wait_for(std::chrono::seconds{0}) == std::future_status::timeout);
  must(other.exec("ROLLBACK"));
  must(answer_of(answer));
  CHECK(must(f.db.read("a", "SELECT x FROM t")).rows->at(0, 0) == value{0});
}

} // namespace sluice::test::serving_thread_test
