#include "messages/interfaces.hpp"
#include "messages/status.hpp"

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

namespace sluice::test::serialization_test {

using namespace std::chrono_literals;

namespace {

struct config : caf::actor_system_config {
  config() { sluice::add_message_types(*this); }
};

struct nodes {
  config cfg;
  caf::actor_system sys{cfg};

  template <class T> std::vector<char> bytes_of(T& x) {
    std::vector<char> bytes;
    caf::binary_serializer sink{sys, bytes};
    auto failed = sink(x);
    REQUIRE(!failed);
    return bytes;
  }

  /// Serializes `x` and reads it back, as another node does.
  template <class T> T round_trip(T x) {
    auto bytes = bytes_of(x);
    T copy;
    caf::binary_deserializer source{sys, bytes};
    auto failed = source(copy);
    REQUIRE(!failed);
    CHECK(bytes_of(copy) == bytes);
    return copy;
  }

  /// Does the same inside a message, whose types must be registered.
  template <class T> T travel_in_message(T x) {
    auto copy = round_trip(caf::make_message(std::move(x)));
    REQUIRE(copy.template match_elements<T>());
    return copy.template get_as<T>(0);
  }
};

rowset some_rows() {
  rowset x{std::make_shared<const rowset::column_names>(rowset::column_names{"a", "b"})};
  for (value cell : {value{1}, value{"x"}, value{nullptr}, value{2.5}})
    x.append(std::move(cell));
  return x;
}

void check_rows(const rowset& x) {
  CHECK(x.columns() == rowset::column_names{"a", "b"});
  REQUIRE(x.size() == 2);
  CHECK(x.at(0, 0) == value{1});
  CHECK(x.at(0, 1) == value{"x"});
  CHECK(x.at(1, 0).is_null());
  CHECK(x.at(1, 1) == value{2.5});
  CHECK(x.footprint() == some_rows().footprint());
}

statement some_statement() { return {"SELECT ?1", parameters{1, "two", blob{std::string("\0\xff", 2)}}}; }

} // namespace

TEST_CASE("every value is serialized with its type, to the last bit") {
  nodes n;
  const std::vector<value> all{nullptr,
                               0,
                               std::numeric_limits<int64_t>::min(),
                               std::numeric_limits<int64_t>::max(),
                               0.0,
                               -0.1,
                               std::numeric_limits<double>::max(),
                               std::numeric_limits<double>::infinity(),
                               -std::numeric_limits<double>::infinity(),
                               std::numeric_limits<double>::denorm_min(),
                               "",
                               "text \xc3\xa4",
                               std::string("a\0b", 3),
                               blob{},
                               blob{std::string("\0\xff", 2)},
                               std::string(100'000, 'x')};
  for (const auto& x : all) {
    auto copy = n.travel_in_message(x);
    CHECK(copy.kind() == x.kind());
    CHECK(copy == x);
    CHECK(copy.footprint() == x.footprint());
  }
  CHECK(std::signbit(*n.round_trip(value{-0.0}).real()));
  CHECK(std::isnan(*n.round_trip(value{std::nan("")}).real()));
}

TEST_CASE("a statement is serialized with its parameters, by position or by name, and its hash is unchanged") {
  nodes n;
  auto x = some_statement();
  auto copy = n.travel_in_message(x);
  CHECK(copy.sql == x.sql);
  CHECK(copy.sql.hash() == x.sql.hash());
  CHECK(copy.params == x.params);
  CHECK_FALSE(copy.terms);
  x.params = std::vector<named_value>{{"name", 5}, {"other", nullptr}};
  x.terms = std::make_shared<const statement_terms>(statement_terms{{{"note", 2, "id"}}, {"a", "b"}});
  copy = n.round_trip(x);
  CHECK(copy.params == x.params);
  REQUIRE(copy.terms);
  CHECK(copy.terms->returned == x.terms->returned);
  CHECK(copy.terms->columns == x.terms->columns);
}

TEST_CASE("a write request is serialized, except for its time of receipt, which is local to a process") {
  nodes n;
  write_request x;
  x.db = "app.db";
  x.statements = {some_statement(), some_statement()};
  x.agent = "agent";
  x.request_id = "id";
  x.idempotency_key = "key";
  x.correlation_id = "trace";
  x.deadline = 1'234ms;
  x.enforce_foreign_keys = false;
  x.migration = std::make_shared<const migration>(migration{3, "3_a.sql", "hash", {1, 7}});
  x.peer = {1'000, 42};
  x.received = std::chrono::steady_clock::time_point{} + 1h;
  auto copy = n.travel_in_message(x);
  CHECK(copy.db == x.db);
  REQUIRE(copy.statements.size() == 2);
  CHECK(copy.statements[1].params == x.statements[1].params);
  CHECK(copy.agent == x.agent);
  CHECK(copy.request_id == x.request_id);
  CHECK(copy.idempotency_key == x.idempotency_key);
  CHECK(copy.correlation_id == x.correlation_id);
  CHECK(copy.deadline == x.deadline);
  CHECK(!copy.enforce_foreign_keys);
  REQUIRE(copy.migration);
  CHECK((copy.migration->number == 3 && copy.migration->name == "3_a.sql" && copy.migration->hash == "hash"));
  CHECK(copy.migration->lines == std::vector<uint32_t>{1, 7});
  x.migration.reset();
  CHECK_FALSE(n.travel_in_message(x).migration);
  CHECK(copy.peer.uid == 1'000);
  CHECK(copy.peer.pid == 42);
  CHECK(copy.received == std::chrono::steady_clock::time_point{});
  CHECK(footprint(copy) == footprint(x));
}

TEST_CASE("a write result is serialized with its rows") {
  nodes n;
  auto copy = n.travel_in_message(write_result{true, 7, "id", {{3, 9, some_rows()}, {}}});
  CHECK(copy.replayed);
  CHECK(copy.commit_seq == 7);
  CHECK(copy.request_id == "id");
  REQUIRE(copy.results.size() == 2);
  CHECK(copy.results[0].changes == 3);
  CHECK(copy.results[0].last_insert_rowid == 9);
  check_rows(copy.results[0].rows);
  CHECK(copy.results[1].rows.empty());
}

TEST_CASE("a read request is serialized, except for its process-local parts") {
  nodes n;
  read_request x;
  x.db = "app.db";
  x.query = some_statement();
  x.agent = "agent";
  x.request_id = "id";
  x.correlation_id = "trace";
  x.freshness = freshness::fresh;
  x.min_seq = 5;
  x.limits = {1, 2, 3ms};
  x.peer = {1'000, 42};
  x.cancel = cancel_token::make();
  auto copy = n.travel_in_message(x);
  CHECK(copy.db == x.db);
  CHECK(copy.query.sql == x.query.sql);
  CHECK(copy.query.params == x.query.params);
  CHECK(copy.agent == x.agent);
  CHECK(copy.request_id == x.request_id);
  CHECK(copy.correlation_id == x.correlation_id);
  CHECK(copy.freshness == freshness::fresh);
  CHECK(copy.min_seq == 5);
  CHECK(copy.limits == x.limits);
  CHECK(copy.peer.pid == 42);
  CHECK(!copy.cancel.possible());
}

TEST_CASE("the answer of a read is serialized, for callers and from readers") {
  nodes n;
  read_result x{std::make_shared<const rowset>(some_rows()), true, read_source::joined, 8};
  auto copy = n.travel_in_message(x);
  check_rows(*copy.rows);
  CHECK(copy.truncated);
  CHECK(copy.source == read_source::joined);
  CHECK(copy.as_of_seq == 8);
  auto reads = std::make_shared<const read_set>(read_set{{"t", "u"}, true});
  auto done = n.travel_in_message(read_done{7, {x, reads, true, true, 42}, {}});
  const auto& from_reader = done.answer;
  CHECK(done.flight == 7);
  CHECK(from_reader.busy_us == 42);
  check_rows(*from_reader.result.rows);
  CHECK(from_reader.reads->tables == std::vector<std::string>{"t", "u"});
  CHECK(from_reader.reads->deterministic);
  CHECK(from_reader.external_commit);
  CHECK(from_reader.files_replaced);
  CHECK(n.round_trip(read_result{}).rows->empty());
}

TEST_CASE("an invalidation is serialized") {
  nodes n;
  auto copy = n.travel_in_message(invalidation{"app.db", 4, {"t", "u"}, true});
  CHECK(copy.db == "app.db");
  CHECK(copy.commit_seq == 4);
  CHECK(copy.tables == std::vector<std::string>{"t", "u"});
  CHECK(copy.everything);
}

TEST_CASE("audit records are serialized in batches and pages, field by field") {
  nodes n;
  audit_record x;
  x.seq = 1;
  x.ts_us = -2;
  x.request_id = "id";
  x.agent = "agent";
  x.db = "app.db";
  x.type = request_type::audit_gap;
  x.key = "key";
  x.status = "committed";
  x.latency_us = 3;
  x.commit_seq = 4;
  x.tables = std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"t"});
  x.correlation_id = "trace";
  x.peer = {1'000, 42};
  x.count = 5;
  x.recovered = true;
  x.grant = std::make_shared<const request_grant>(request_grant{{}, "capsule", "policy", 0});
  auto page = n.travel_in_message(audit_page{"root", {x}});
  CHECK(page.store_root == "root");
  for (const auto& copy : page.records) {
    CHECK(copy.seq == 1);
    CHECK(copy.ts_us == -2);
    CHECK(copy.request_id == "id");
    CHECK(copy.agent == "agent");
    CHECK(copy.db == "app.db");
    CHECK(copy.type == request_type::audit_gap);
    CHECK(copy.key == "key");
    CHECK(copy.status == "committed");
    CHECK(copy.latency_us == 3);
    CHECK(copy.commit_seq == 4);
    CHECK(*copy.tables == std::vector<std::string>{"t"});
    CHECK(copy.correlation_id == "trace");
    CHECK(copy.peer.uid == 1'000);
    CHECK(copy.count == 5);
    CHECK(copy.recovered);
    REQUIRE(copy.grant);
    CHECK(copy.grant->capsule_hash == "capsule");
    CHECK(copy.grant->policy_hash == "policy");
  }
}

TEST_CASE("audit queries and verdicts are serialized") {
  nodes n;
  auto query = n.travel_in_message(audit_query{"agent", "db", "ok", 1, 2, 3, true});
  CHECK(query.agent == "agent");
  CHECK(query.db == "db");
  CHECK(query.status == "ok");
  CHECK(query.since_us == 1);
  CHECK(query.after_seq == 2);
  CHECK(query.limit == 3);
  CHECK(query.newest);
  auto verdict = n.travel_in_message(audit_verdict{10, 1, 7, "torn", "ab12", {"a problem"}});
  CHECK(verdict.records == 10);
  CHECK(verdict.broken == 1);
  CHECK(verdict.first_broken == 7);
  CHECK(verdict.reason == "torn");
  CHECK(verdict.head == "ab12");
  CHECK(!verdict.intact());
}

TEST_CASE("the status of a database is serialized") {
  nodes n;
  database_status x;
  x.name = "app.db";
  x.quarantined = true;
  x.unmoved_wal_bytes = 12;
  x.retry.error_rate_5m = 0.5;
  x.retry.last_lock_error_us = -1;
  auto copy = n.round_trip(x);
  CHECK(copy.name == "app.db");
  CHECK(copy.quarantined);
  CHECK(copy.unmoved_wal_bytes == 12);
  CHECK(copy.retry.error_rate_5m == 0.5);
  CHECK(copy.retry.last_lock_error_us == -1);
  cache_status cache;
  cache.enabled = false;
  cache.evicted = 3;
  CHECK(!n.round_trip(cache).enabled);
  CHECK(n.round_trip(cache).evicted == 3);
}

TEST_CASE("an error is serialized with all its fields") {
  nodes n;
  failure x{errc::busy, outcome::unknown, "text", 1, 2, 3, "id"};
  auto copy = describe(n.round_trip(make_error(x)));
  CHECK(copy.code == errc::busy);
  CHECK(copy.outcome == outcome::unknown);
  CHECK(copy.message == "text");
  CHECK(copy.retry_after_ms == 1);
  CHECK(copy.attempts == 2);
  CHECK(copy.waited_ms == 3);
  CHECK(copy.request_id == "id");
  CHECK(n.sys.render(make_error(x)).find("busy: text") != std::string::npos);
}

} // namespace sluice::test::serialization_test
