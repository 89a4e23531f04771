#include "tests/runtime/sqlite/buffer/buffer_fixture.hpp"

#include <cmath>
#include <limits>
#include <sys/stat.h>

namespace sluice::test::buffer_store_test {

using namespace sluice::sqlite::test;
using Catch::Contains;
namespace fs = std::filesystem;

TEST_CASE("the buffer's file is made by the first call that keeps something, for its owner alone") {
  buffer_fixture r;
  CHECK(r.recover().operations.empty());
  CHECK(r.rejected().empty());
  CHECK(r.take({}).empty());
  CHECK(*r.store->count_rejected() == 0);
  REQUIRE(r.store->end_batch("none"));
  CHECK_FALSE(fs::exists(r.path));
  auto before = umask(0);
  r.append({put(1)});
  umask(before);
  for (const auto* suffix : {"", "-wal", "-shm"}) {
    struct stat info {};
    REQUIRE(stat((r.path.string() + suffix).c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
  }
}

TEST_CASE("an operation is read back from the journal exactly as it was put") {
  buffer_fixture r;
  buffer_put operation;
  operation.row = {
    "sub/gr\u00f6\u00dfe.db", "a \"b\"", {{"k", "text"}, {"k2", -0.0}, {"k3", blob{std::string("\0\xff", 2)}}}};
  operation.operation = buffer_operation::update;
  operation.values = {{"null", nullptr},
                      {"min", std::numeric_limits<int64_t>::min()},
                      {"max", std::numeric_limits<int64_t>::max()},
                      {"inf", std::numeric_limits<double>::infinity()},
                      {"tiny", std::numeric_limits<double>::denorm_min()},
                      {"one", 1.0},
                      {"no utf-8", std::string{"\xff\xfe"}},
                      {"", ""}};
  operation.agent = "alice";
  operation.peer = {4'294'967'295, 7};
  auto deletion = put(2);
  deletion.operation = buffer_operation::erase;
  deletion.values.clear();
  r.append({operation, deletion});
  r.reopen();
  auto back = r.recover().operations;
  REQUIRE(back.size() == 2);
  CHECK(same(back[0].content, operation));
  CHECK(std::signbit(*back[0].content.row.columns[1].content.real()));
  CHECK(same(back[1].content, deletion));
}

TEST_CASE("positions in the journal are consecutive in one call, and never reused") {
  buffer_fixture r;
  CHECK(r.append({put(1), put(2), put(3)}) == 1);
  CHECK(r.append({put(4)}) == 4);
  REQUIRE(r.store->begin_batch(batch("k", {1, 2, 3, 4})));
  REQUIRE(r.store->end_batch("k"));
  r.reopen();
  CHECK(r.append({put(5)}) == 5);
  r.reopen();
  CHECK(r.pending() == std::vector<uint64_t>{5});
}

TEST_CASE("a batch keeps its operations from being pending until it is ended or abandoned") {
  buffer_fixture r;
  r.append({put(1), put(2), put(3), put(4)});
  auto sent = batch("k1", {1, 3});
  sent.request.statements.push_back(
    {"UPDATE t SET a = :a, b = :b", {std::vector<named_value>{{"b", 1.5}, {"a", "x"}}}});
  sent.request.agent = "sluice";
  sent.request.request_id = "r";
  sent.request.correlation_id = "c";
  sent.request.deadline = std::chrono::milliseconds{70};
  sent.request.peer = {1, 2};
  REQUIRE(r.store->begin_batch(sent));
  REQUIRE(r.store->begin_batch(batch("k0", {2})));
  r.reopen();
  auto found = r.recover();
  REQUIRE(found.batches.size() == 2);
  CHECK(found.batches[1].idempotency_key == "k0");
  const auto& back = found.batches[0];
  CHECK(back.idempotency_key == "k1");
  CHECK(back.operations == std::vector<uint64_t>{1, 3});
  CHECK(back.request.db == "a.db");
  CHECK(back.request.agent == "sluice");
  CHECK(back.request.request_id == "r");
  CHECK(back.request.idempotency_key == "k1");
  CHECK(back.request.correlation_id == "c");
  CHECK(back.request.deadline == std::chrono::milliseconds{70});
  CHECK(back.request.peer.pid == 2);
  REQUIRE(back.request.statements.size() == 2);
  CHECK(back.request.statements[0].sql.str() == "INSERT INTO t VALUES (?)");
  CHECK(back.request.statements[0].params == parameters{int64_t{1}});
  CHECK(back.request.statements[1].params == parameters{std::vector<named_value>{{"a", "x"}, {"b", 1.5}}});
  REQUIRE(found.operations.size() == 1);
  CHECK(found.operations[0].seq == 4);
  // The operations of a batch, with rows identified by their keys.
  REQUIRE(found.in_batches.size() == 3);
  CHECK(found.in_batches[1].seq == 3);
  CHECK(same(found.in_batches[1].content, put(3)));
  CHECK(found.in_batches[2].seq == 2);

  REQUIRE(r.store->abandon_batch("k1"));
  REQUIRE(r.store->end_batch("k0"));
  r.reopen();
  CHECK(r.recover().batches.empty());
  CHECK(r.pending() == std::vector<uint64_t>{1, 3, 4});
}

TEST_CASE("ending a missing batch is not an error, and changes nothing") {
  buffer_fixture r;
  r.append({put(1)});
  REQUIRE(r.store->end_batch("k"));
  REQUIRE(r.store->abandon_batch("k"));
  CHECK(r.pending() == std::vector<uint64_t>{1});
}

TEST_CASE("a batch under a key that is in use is refused, and changes nothing") {
  buffer_fixture r;
  r.append({put(1), put(2)});
  REQUIRE(r.store->begin_batch(batch("k", {1})));
  auto again = r.store->begin_batch(batch("k", {2}));
  REQUIRE_FALSE(again);
  CHECK(code_of(again.error()) == errc::constraint);
  CHECK(r.pending() == std::vector<uint64_t>{2});
}

TEST_CASE("rejected rows are listed by page and taken once") {
  buffer_fixture r;
  for (int64_t i = 1; i <= 5; ++i)
    CHECK(*r.store->reject(std::vector{refused(i)}) == static_cast<uint64_t>(i));
  r.reopen();
  CHECK(*r.store->count_rejected() == 5);
  auto page = r.rejected(1, 2);
  REQUIRE(page.size() == 2);
  CHECK(page[0].id == 2);
  CHECK(same(page[0].operation, put(2)));
  CHECK(page[0].code == errc::constraint);
  CHECK(page[0].message == "CHECK constraint failed");
  CHECK(page[0].ts_us == 1'700'000'000'000'002);
  CHECK(r.take({4, 2, 4, 99}) == std::vector<uint64_t>{2, 4});
  r.reopen();
  CHECK(r.take({}) == std::vector<uint64_t>{1, 3, 5});
  CHECK(*r.store->count_rejected() == 0);
  CHECK(*r.store->reject(std::vector{refused(6)}) == 6);
}

TEST_CASE("rejected rows move to the journal all at once, or not at all") {
  buffer_fixture r;
  REQUIRE(r.store->reject(std::vector{refused(1)}));
  REQUIRE(r.store->reject(std::vector{refused(2)}));
  REQUIRE(r.store->reject(std::vector{refused(3)}));
  r.append({put(9)});
  std::vector<buffer_put> again{put(1), put(3)};
  std::vector<uint64_t> ids{1, 3};

  SECTION("at once") {
    CHECK(*r.store->requeue(ids, again) == 2);
    r.reopen();
    CHECK(r.pending() == std::vector<uint64_t>{1, 2, 3});
    REQUIRE(r.rejected().size() == 1);
    CHECK(r.rejected()[0].id == 2);
  }
  SECTION("not at all") {
    r.meddle("CREATE TRIGGER full BEFORE INSERT ON journal WHEN (SELECT count(*) FROM journal) > 1"
             " BEGIN SELECT raise(ABORT, 'full'); END");
    REQUIRE_FALSE(r.store->requeue(ids, again));
    r.meddle("DROP TRIGGER full");
    r.reopen();
    CHECK(r.pending() == std::vector<uint64_t>{1});
    CHECK(r.rejected().size() == 3);
  }
}

TEST_CASE("an unreadable record of the journal becomes a rejected row and delays nothing") {
  buffer_fixture r;
  r.append({put(1), put(2), put(3)});
  r.meddle("UPDATE journal SET content = x'820203' WHERE seq = 2");
  r.reopen();
  CHECK(r.pending() == std::vector<uint64_t>{1, 3});
  auto rows = r.rejected();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].code == errc::corrupt);
  CHECK_THAT(rows[0].message, Contains("cannot be read by this version"));
  CHECK(rows[0].ts_us > 1'600'000'000'000'000);

  SECTION("is not taken with the others, nor when it is named") {
    REQUIRE(r.store->reject(std::vector{refused(9)}));
    CHECK(r.take({}) == std::vector<uint64_t>{2});
    auto named = r.store->take_rejected(std::vector<uint64_t>{1});
    REQUIRE_FALSE(named);
    CHECK(code_of(named.error()) == errc::corrupt);
    CHECK_THAT(describe(named.error()).message, Contains("row 1 "));
    CHECK(*r.store->count_rejected() == 1);
  }
  SECTION("is kept byte for byte, for a version that can") {
    r.meddle("CREATE TEMP TABLE x(y CHECK (y = x'820203')); INSERT INTO x SELECT content FROM rejected");
  }
  SECTION("is set aside once") {
    r.reopen();
    r.recover();
    CHECK(*r.store->count_rejected() == 1);
  }
}

TEST_CASE("operations of a batch whose record cannot be read are kept for a decision") {
  buffer_fixture r;
  r.append({put(1), put(2), put(3)});
  REQUIRE(r.store->begin_batch(batch("k", {1, 2})));
  r.meddle("UPDATE batches SET content = x'00'");
  r.reopen();
  auto found = r.recover();
  CHECK(found.batches.empty());
  REQUIRE(found.operations.size() == 1);
  auto rows = r.rejected();
  REQUIRE(rows.size() == 2);
  CHECK(same(rows[1].operation, put(2)));
  CHECK_THAT(rows[1].message, Contains("may have been written"));
  CHECK(r.take({}).size() == 2);
  CHECK(r.recover().batches.empty());
}

} // namespace sluice::test::buffer_store_test
