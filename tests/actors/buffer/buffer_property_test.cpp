// For any puts and flushes, the database ends as if each operation had been executed at once.

#include "actors/buffer/buffered_database.hpp"
#include "actors/buffer/row_statement.hpp"
#include "tests/support/buffer_model.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/plain_database.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>

namespace sluice::test::buffer_property_test {

using std::chrono::milliseconds;

namespace {

/// A schema with two databases: one executes every operation at once, the buffer writes to the other one.
struct databases_under_test {
  explicit databases_under_test(const sampled_schema& sampled)
    : schema(sampled), model(sampled.sql), file(sampled.sql) {
    for (const auto& t : sampled.tables) {
      shapes.emplace(t.name, file.shape_of(t.name));
      tables.push_back(t.name);
    }
    tables.insert(tables.end(), sampled.witnesses.begin(), sampled.witnesses.end());
  }

  const sampled_schema& schema;
  plain_database model;
  plain_database file;
  std::map<std::string, table_schema> shapes;
  std::vector<std::string> tables;
};

/// One sequence of operations.
struct sequence {
  sequence(databases_under_test& on, uint32_t seed) : dice(seed), databases_(on) {
    on.model.reset(on.schema.sql);
    on.file.reset(on.schema.sql);
    style = random_style(dice, on.schema);
    settings.batch = 1 + dice() % 8;
    settings.max_pending = 10'000;
    settings.tables = {{"app.db", on.tables.back(), milliseconds{1'000}, static_cast<int64_t>(dice() % 3) - 1}};
    ids = std::make_unique<request_ids>(seed);
    rows = std::make_unique<buffered_database>("app.db", settings, time, *ids);
  }

  void put() {
    auto result = random_put(dice, databases_.schema, style);
    auto raw = result;
    const auto& shape = databases_.shapes.at(result.row.table);
    auto checked = check(shape, std::move(result));
    history += text_of(raw) + (checked ? checked->is_mergeable ? "" : " (fixed)" : " (not taken)") + "\n";
    if (!checked)
      return;
    if (auto error = databases_.model.execute({statement_of(raw)})) {
      refused_by_model.insert(text_of(checked->put) + " " + std::string{to_string(error->code)});
      history += "  refused: " + error->message + "\n";
    }
    merged += rows->add(std::move(*checked), ++number, time.now());
  }

  /// Answers as a writer does, which may also be busy, or end before it has answered.
  void step() {
    auto* batch = rows->next(false);
    if (!batch)
      return;
    auto request = rows->request_of(*batch);
    rows->sent();
    auto luck = dice() % 10;
    failure error;
    error.code = luck == 0 ? errc::busy : errc::unavailable;
    error.outcome = luck == 0 ? outcome::not_committed : outcome::unknown;
    caf::expected<write_result> answer{make_error(error)};
    if (luck > 1)
      answer = answer_to(request);
    if (luck == 2)
      // The commit is done, but its answer is lost.
      answer = make_error(error);
    auto out = rows->finish(answer);
    history += "  request " + request.idempotency_key + ": " + std::to_string(static_cast<int>(out.result)) + "\n";
    if (out.result == flush_outcome::verdict::rejected)
      for (const auto& each : out.completed)
        refused_by_buffer.insert(text_of(each.put) + " " + std::string{to_string(out.error.code)});
  }

  caf::expected<write_result> answer_to(const journal_batch& batch) {
    auto known = done.find(batch.idempotency_key);
    if (known != done.end()) {
      if (known->second != batch.request.statements.size())
        throw std::logic_error("a key was used twice");
      return write_result{};
    }
    if (auto error = databases_.file.execute(batch.request.statements))
      return make_error(*error);
    done[batch.idempotency_key] = batch.request.statements.size();
    return write_result{};
  }

  void drain() {
    rows->want({}, number);
    for (auto i = 0; rows->rows().pending() > 0; ++i) {
      time.advance(milliseconds{10'000});
      step();
      if (i > 10'000)
        throw std::logic_error("it does not come to an end\n" + history);
    }
  }

  // Compares the row that the buffer returns with that of the model.
  void look() {
    auto result = random_put(dice, databases_.schema, style);
    const auto& shape = databases_.shapes.at(result.row.table);
    auto key = check(shape, result.row);
    if (!key)
      return;
    row_image image;
    auto stored = databases_.file.query(query_of(key->row));
    image.found = stored.size() > 0;
    for (size_t i = 0; image.found && i < stored.columns().size(); ++i)
      image.columns[stored.columns()[i]] = {stored.at(0, i), false};
    auto seen = rows->apply(*key, image);
    if (!seen.certain || seen.wait)
      return;
    auto truth = databases_.model.query(query_of(key->row));
    INFO(history << "look at " << text_of(result));
    REQUIRE(image.found == (truth.size() > 0));
    ++looks;
    for (size_t i = 0; image.found && i < truth.columns().size(); ++i) {
      auto cell = image.columns.find(truth.columns()[i]);
      if (cell == image.columns.end())
        continue;
      auto expected = cell->second.pending ? as_stored(*column_of(shape, cell->first), cell->second.content)
                                           : std::optional{cell->second.content};
      if (expected)
        REQUIRE(text_of(*expected) == text_of(truth.at(0, i)));
    }
  }

  static const column_schema* column_of(const table_schema& shape, const std::string& name) {
    return &shape.columns()[*shape.find(name)];
  }

  void compare() {
    INFO(history);
    for (const auto& table : databases_.tables)
      REQUIRE(databases_.file.rows_of(table, text_of) == databases_.model.rows_of(table, text_of));
    REQUIRE(refused_by_buffer == refused_by_model);
  }

  std::mt19937 dice;
  key_style style = key_style::mixed;
  fake_clock time;
  write_behind_settings settings;
  std::unique_ptr<request_ids> ids;
  std::unique_ptr<buffered_database> rows;
  uint64_t number = 0;
  std::map<std::string, size_t> done;
  std::multiset<std::string> refused_by_model;
  std::multiset<std::string> refused_by_buffer;
  uint64_t merged = 0;
  uint64_t looks = 0;
  std::string history;

private:
  databases_under_test& databases_;
};

} // namespace

TEST_CASE("merged and reordered rows leave the database as if every operation had been executed at once",
          "[buffer][property]") {
  // The first of 10,000 seeds. Another start explores other seeds; a failure names the seed to repeat.
  const auto* start = std::getenv("SLUICE_SEED");
  const auto* count = std::getenv("SLUICE_SEQUENCES");
  auto first = start ? static_cast<uint32_t>(std::atoll(start)) : 0;
  auto sequences = count ? static_cast<uint32_t>(std::atoll(count)) : 10'000;
  std::vector<std::unique_ptr<databases_under_test>> fixtures;
  for (const auto& schema : sampled_schemas())
    fixtures.push_back(std::make_unique<databases_under_test>(schema));
  uint64_t merged = 0;
  uint64_t refused = 0;
  uint64_t looks = 0;
  for (uint32_t seed = first; seed < first + sequences; ++seed) {
    auto& on = *fixtures[seed % fixtures.size()];
    INFO("seed " << seed << " of " << on.schema.sql[0]);
    sequence f{on, seed};
    for (auto n = 4 + f.dice() % 24; n > 0; --n) {
      f.put();
      if (f.dice() % 4 == 0)
        f.look();
      if (f.dice() % 7 == 0) {
        f.time.advance(milliseconds{f.dice() % 6'000});
        f.step();
      }
      if (f.dice() % 24 == 0)
        f.drain();
    }
    f.drain();
    f.compare();
    merged += f.merged;
    refused += f.refused_by_model.size();
    looks += f.looks;
  }
  // Without such cases the test proves nothing.
  if (sequences >= 10'000) {
    CHECK(merged > sequences / 2);
    CHECK(refused > sequences);
    CHECK(looks > sequences / 4);
  }
}

} // namespace sluice::test::buffer_property_test
