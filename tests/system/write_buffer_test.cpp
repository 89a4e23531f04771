#include "tests/system/fixture.hpp"

#include <filesystem>

namespace sluice::test::write_buffer_test {

using namespace std::chrono_literals;
using Catch::Contains;

namespace {

buffer_put put(int64_t id, int64_t n) {
  buffer_put result;
  result.row = {"app.db", "t", {{"id", id}}};
  result.values = {{"n", n}};
  result.agent = "alice";
  return result;
}

// More come at first than may wait for the table to be looked up.
buffer_put patient(int64_t id, int64_t n) {
  auto result = put(id, n);
  result.wait = 1min;
  return result;
}

// A broker whose buffer writes when it is asked to.
struct fixture {
  temp_dir dir;
  broker leader = open();
  write_buffer buffer = leader.buffer();

  broker open() {
    auto result = open_broker(dir.path(), [](broker_config& x) { x.buffer_interval = 1h; });
    must(must(result.open_database("app.db"))
           .write("alice", "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, n INTEGER)"));
    return result;
  }

  std::vector<int64_t> rows() {
    auto answer = must(must(leader.open_database("app.db")).read("alice", "SELECT n FROM t ORDER BY id"));
    std::vector<int64_t> result;
    for (size_t i = 0; i < answer.rows->size(); ++i)
      result.push_back(*answer.rows->row(i)[0].integer());
    return result;
  }
};

} // namespace

TEST_CASE("a host puts rows, reads them with pending operations, and flushes them") {
  fixture r;
  CHECK(must(r.buffer.put(put(1, 10))).pending == 1);
  auto row = must(r.buffer.get({{"app.db", "t", {{"id", 1}}}, "alice", {}}));
  CHECK(row.found);
  CHECK(row.columns == std::vector<named_value>{{"id", 1}, {"n", 10}});
  CHECK(r.rows().empty());
  CHECK(must(r.buffer.flush()).flushed == 1);
  CHECK(r.rows() == std::vector<int64_t>{10});
}

TEST_CASE("all names of a database mean the same one in the buffer") {
  fixture r;
  std::filesystem::create_symlink(r.dir / "app.db", r.dir / "link.db");
  auto other = put(1, 2);
  other.row.db = "./link.db";
  must(r.buffer.put(put(1, 1)));
  CHECK(must(r.buffer.put(other)).pending == 1);
  flush_request one;
  one.db = "link.db";
  CHECK(must(r.buffer.flush(one)).flushed == 1);
  CHECK(r.rows() == std::vector<int64_t>{2});
}

TEST_CASE("puts of one thread keep their order though it waits for none of them") {
  fixture r;
  std::vector<std::future<caf::expected<buffer_receipt>>> receipts;
  for (int64_t n = 0; n < 2'000; ++n)
    receipts.push_back(r.buffer.put_async(patient(n % 3, n)));
  for (auto& receipt : receipts)
    must(answer_of(receipt));
  CHECK(must(r.buffer.flush()).kept == 0);
  CHECK(r.rows() == std::vector<int64_t>{1'998, 1'999, 1'997});
}

TEST_CASE("an invalid request does not reach the buffer, and is audited") {
  fixture r;
  auto outside = put(1, 1);
  outside.row.db = "../app.db";
  CHECK(refused(r.buffer.put(outside)).code == errc::invalid_request);
  auto large = put(1, 1);
  large.values = {{"n", std::string(2 << 20, 'x')}};
  CHECK(refused(r.buffer.put(large)).code == errc::too_large);
  auto empty = r.buffer.put_async(buffer_put{});
  CHECK(refused(answer_of(empty)).code == errc::invalid_request);
  CHECK(r.leader.status().buffer.puts == 0);
  audit_query refusals;
  refusals.status = "too_large";
  auto page = must(r.leader.audit(refusals));
  REQUIRE(page.records.size() == 1);
  CHECK(page.records[0].type == request_type::buffer_put);
  CHECK(page.records[0].agent == "alice");
}

TEST_CASE("a broker that is shut down writes all pending rows, and accepts nothing more") {
  fixture r;
  must(r.buffer.put(put(1, 10)));
  r.leader.shutdown();
  CHECK(refused(r.buffer.put(put(2, 20))).code == errc::unavailable);
  r.leader = r.open();
  CHECK(r.rows() == std::vector<int64_t>{10});
}

TEST_CASE("a configured table applies to every name of its database") {
  temp_dir dir;
  std::filesystem::create_symlink(dir / "app.db", dir / "link.db");
  {
    auto first = open_broker(dir.path());
    must(must(first.open_database("app.db")).write("alice", "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)"));
  }
  auto leader = open_broker(dir.path(), [](broker_config& config) {
    config.buffer_interval = 1h;
    config.buffer_tables = {{"link.db", "T", 20ms, 7}};
  });
  must(leader.buffer().put(put(1, 10)));
  await([&] { return leader.status().buffer.flushed_rows == 1; });
  CHECK(leader.status().buffer.pending == 0);
}

} // namespace sluice::test::write_buffer_test
