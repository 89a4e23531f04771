// Contract tests of buffer_store (actors/buffer/buffer_store.hpp), run on the fake of the actors' tests and on the
// SQLite store.

#include "tests/runtime/sqlite/buffer/buffer_fixture.hpp"
#include "tests/runtime/sqlite/files/file_fixture.hpp"
#include "tests/support/fake_buffer_store.hpp"

namespace sluice::test::buffer_store_contract_test {

using sqlite::test::batch;
using sqlite::test::put;
using sqlite::test::refused;
using sqlite::test::same;

namespace {

class fake_buffer {
public:
  std::unique_ptr<buffer_store> open() { return std::make_unique<fake_buffer_store>(file_); }

  void refuse_appends(bool refuses) { file_.refuses_appends = refuses; }

private:
  fake_buffer_file file_;
};

class sqlite_buffer {
public:
  std::unique_ptr<buffer_store> open() { return sqlite::open_buffer_store(path_, synchronous_mode::normal); }

  // Fails with the second operation, so that the first must be rolled back.
  void refuse_appends(bool refuses) {
    other_program{path_}.run(refuses
                               ? "CREATE TRIGGER full BEFORE INSERT ON journal WHEN (SELECT count(*) FROM journal)"
                                 " > 1 BEGIN SELECT raise(ABORT, 'full'); END"
                               : "DROP TRIGGER full");
  }

private:
  temp_dir folder_;
  fs::path path_ = folder_ / "buffer.db";
};

using places = std::vector<uint64_t>;

uint64_t append(buffer_store& aut, const std::vector<buffer_put>& operations) { return must(aut.append(operations)); }

uint64_t reject(buffer_store& aut, const std::vector<rejected_row>& rows) { return must(aut.reject(rows)); }

places places_of(const std::vector<journal_content::operation>& operations) {
  places result;
  for (const auto& each : operations)
    result.push_back(each.seq);
  return result;
}

places ids_of(const std::vector<rejected_row>& rows) {
  places result;
  for (const auto& each : rows)
    result.push_back(each.id);
  return result;
}

places pending(buffer_store& aut) { return places_of(must(aut.recover()).operations); }

places rejected(buffer_store& aut, uint64_t after = 0, uint64_t limit = 1'000) {
  return ids_of(must(aut.rejected({after, limit})).rows);
}

places take(buffer_store& aut, const places& ids) { return ids_of(must(aut.take_rejected(ids))); }

} // namespace

TEMPLATE_TEST_CASE("an empty buffer store has no operations, batches or rows", "[contract]", fake_buffer,
                   sqlite_buffer) {
  TestType subject;
  auto aut = subject.open();
  auto found = must(aut->recover());
  CHECK(found.batches.empty());
  CHECK(found.operations.empty());
  CHECK(found.in_batches.empty());
  CHECK(rejected(*aut).empty());
  CHECK(take(*aut, {}).empty());
  CHECK(must(aut->count_rejected()) == 0);
}

TEMPLATE_TEST_CASE("operations in the journal have consecutive positions, which are never reused", "[contract]",
                   fake_buffer, sqlite_buffer) {
  TestType subject;
  auto aut = subject.open();
  CHECK(append(*aut, {put(1), put(2), put(3)}) == 1);
  CHECK(append(*aut, {put(4)}) == 4);
  aut = subject.open();
  auto found = must(aut->recover());
  CHECK(places_of(found.operations) == places{1, 2, 3, 4});
  CHECK(same(found.operations[2].content, put(3)));
  must(aut->begin_batch(batch("k", {1, 2, 3, 4})));
  must(aut->end_batch("k"));
  aut = subject.open();
  CHECK(append(*aut, {put(5)}) == 5);
  CHECK(pending(*aut) == places{5});
}

TEMPLATE_TEST_CASE("operations in a batch are not pending until it is ended or abandoned", "[contract]", fake_buffer,
                   sqlite_buffer) {
  TestType subject;
  auto aut = subject.open();
  append(*aut, {put(1), put(2), put(3), put(4)});
  must(aut->begin_batch(batch("k1", {1, 3})));
  must(aut->begin_batch(batch("k0", {2})));
  aut = subject.open();
  auto found = must(aut->recover());
  // The batches come in the order in which they were sent, regardless of their keys.
  REQUIRE(found.batches.size() == 2);
  CHECK(found.batches[0].idempotency_key == "k1");
  CHECK(found.batches[0].operations == places{1, 3});
  CHECK(found.batches[0].request.statements.size() == 1);
  CHECK(found.batches[1].idempotency_key == "k0");
  CHECK(places_of(found.operations) == places{4});
  CHECK(places_of(found.in_batches) == places{1, 3, 2});
  CHECK(same(found.in_batches[1].content, put(3)));
  must(aut->abandon_batch("k1"));
  must(aut->end_batch("k0"));
  aut = subject.open();
  CHECK(must(aut->recover()).batches.empty());
  CHECK(pending(*aut) == places{1, 3, 4});
}

TEMPLATE_TEST_CASE("ending or abandoning a missing batch is not an error, and changes nothing", "[contract]",
                   fake_buffer, sqlite_buffer) {
  TestType subject;
  auto aut = subject.open();
  must(aut->end_batch("k"));
  append(*aut, {put(1)});
  must(aut->end_batch("k"));
  must(aut->abandon_batch("k"));
  CHECK(pending(*aut) == places{1});
}

TEMPLATE_TEST_CASE("a batch under a key that is in use is refused, and changes nothing", "[contract]", fake_buffer,
                   sqlite_buffer) {
  TestType subject;
  auto aut = subject.open();
  append(*aut, {put(1), put(2)});
  must(aut->begin_batch(batch("k", {1})));
  CHECK(failure_of(aut->begin_batch(batch("k", {2}))).code == errc::constraint);
  CHECK(pending(*aut) == places{2});
  must(aut->end_batch("k"));
  CHECK(pending(*aut) == places{2});
}

TEMPLATE_TEST_CASE("an append to the journal that fails appends nothing", "[contract]", fake_buffer, sqlite_buffer) {
  TestType subject;
  auto aut = subject.open();
  append(*aut, {put(1)});
  subject.refuse_appends(true);
  CHECK_FALSE(aut->append(std::vector{put(2), put(3)}));
  subject.refuse_appends(false);
  CHECK(pending(*aut) == places{1});
  CHECK(append(*aut, {put(2)}) == 2);
}

TEMPLATE_TEST_CASE("rejected rows are listed by page, and taken once", "[contract]", fake_buffer, sqlite_buffer) {
  TestType subject;
  auto aut = subject.open();
  CHECK(reject(*aut, {refused(1), refused(2)}) == 1);
  CHECK(reject(*aut, {refused(3), refused(4), refused(5)}) == 3);
  aut = subject.open();
  CHECK(must(aut->count_rejected()) == 5);
  CHECK(rejected(*aut, 1, 2) == places{2, 3});
  CHECK(rejected(*aut, 5).empty());
  CHECK(rejected(*aut, 0, 0).empty());
  auto page = must(aut->rejected({1, 1}));
  REQUIRE(page.rows.size() == 1);
  CHECK(same(page.rows[0].operation, put(2)));
  CHECK(page.rows[0].code == errc::constraint);
  CHECK(page.rows[0].message == refused(2).message);
  CHECK(page.rows[0].ts_us == refused(2).ts_us);
  CHECK(take(*aut, {4, 2, 4, 99}) == places{2, 4});
  aut = subject.open();
  CHECK(take(*aut, {}) == places{1, 3, 5});
  CHECK(must(aut->count_rejected()) == 0);
  CHECK(reject(*aut, {refused(6)}) == 6);
}

TEMPLATE_TEST_CASE("rejected rows move to the journal all at once, or not at all", "[contract]", fake_buffer,
                   sqlite_buffer) {
  TestType subject;
  auto aut = subject.open();
  reject(*aut, {refused(1), refused(2), refused(3)});
  append(*aut, {put(9)});
  const std::vector<buffer_put> again{put(1), put(3)};
  const places ids{1, 3};
  subject.refuse_appends(true);
  CHECK_FALSE(aut->requeue(ids, again));
  subject.refuse_appends(false);
  CHECK(pending(*aut) == places{1});
  CHECK(rejected(*aut) == places{1, 2, 3});
  CHECK(must(aut->requeue(ids, again)) == 2);
  aut = subject.open();
  CHECK(pending(*aut) == places{1, 2, 3});
  CHECK(rejected(*aut) == places{2});
}

} // namespace sluice::test::buffer_store_contract_test
