// Tests the property of buffer_property_test.cpp for the whole actor: with writers that fail, schemas that it requests,
// and, with a journal, buffers that are killed.

#include "actors/buffer/row_statement.hpp"
#include "tests/support/buffer_fixture.hpp"
#include "tests/support/buffer_model.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <set>

namespace sluice::test::buffer_actor_property_test {

using namespace std::chrono_literals;

namespace {

struct actor_sequence : buffer_fixture {
  actor_sequence(const sampled_schema& sampled, uint32_t seed)
    : buffer_fixture(sampled.sql), schema(sampled), model(sampled.sql), dice(seed) {
    style = random_style(dice, sampled);
    journal = dice() % 2 == 0;
    settings.batch = 1 + dice() % 8;
    start();
  }

  void put_one() {
    auto result = random_put(dice, schema, style);
    history += text_of(result) + "\n";
    auto taken = put(result);
    if (!ok(taken)) {
      // The actor refuses only operations that can never be written.
      REQUIRE(failure_of(taken).code == errc::invalid_request);
      return;
    }
    if (auto refused = model.execute({statement_of(result)}))
      refused_by_model.insert(std::string{to_string(result.operation)} + std::string{to_string(refused->code)});
  }

  void disturb() {
    auto luck = dice() % 8;
    if (luck == 0)
      db.fail(errc::busy);
    else if (luck == 1)
      db.fail(errc::unavailable, outcome::unknown, dice() % 2 == 0);
    else if (luck == 2)
      db.holds = true;
    else if (luck == 3 && db.holds)
      release();
    else if (luck == 4)
      replace_writer();
    else if (luck == 5 && journal) {
      history += "killed\n";
      restart();
    } else
      advance(std::chrono::milliseconds{dice() % 6'000});
  }

  void compare() {
    replace_writer();
    db.faults.clear();
    for (auto i = 0; status().pending > 0 && i < 100; ++i)
      flush();
    INFO(history);
    REQUIRE(status().pending == 0);
    auto tables = schema.witnesses;
    for (const auto& table : schema.tables)
      tables.push_back(table.name);
    for (const auto& each : tables)
      REQUIRE(db.file.rows_of(each, text_of) == model.rows_of(each, text_of));
    std::multiset<std::string> refused;
    auto page = rejected();
    for (const auto& row : (**page)->rows)
      refused.insert(std::string{to_string(row.operation.operation)} + std::string{to_string(row.code)});
    REQUIRE(refused == refused_by_model);
    REQUIRE(disk.journal.empty());
    REQUIRE(disk.batches.empty());
  }

  const sampled_schema& schema;
  plain_database model;
  std::mt19937 dice;
  key_style style = key_style::mixed;
  std::multiset<std::string> refused_by_model;
  std::string history;
};

} // namespace

TEST_CASE("with any failures the database ends as if every operation had been executed at once", "[buffer][property]") {
  const auto& schemas = sampled_schemas();
  for (uint32_t seed = 0; seed < 300; ++seed) {
    INFO("seed " << seed << " of " << schemas[seed % schemas.size()].sql[0]);
    actor_sequence f{schemas[seed % schemas.size()], seed};
    for (auto n = 4 + f.dice() % 24; n > 0; --n) {
      f.put_one();
      if (f.dice() % 3 == 0)
        f.disturb();
    }
    f.compare();
  }
}

} // namespace sluice::test::buffer_actor_property_test
