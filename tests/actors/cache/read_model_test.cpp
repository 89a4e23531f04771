#include "tests/support/read_fixture.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <random>

namespace sluice::test::read_model_test {

using namespace std::chrono_literals;

namespace {

constexpr size_t table_count = 3;
using content = std::array<int64_t, table_count>;

const std::array<std::vector<size_t>, 4> read_by_statement{{{0}, {1}, {0, 1}, {2}}};

std::string sql_of(size_t i) { return "q" + std::to_string(i); }
std::string table_of(size_t i) { return "t" + std::to_string(i); }

std::vector<std::string> names_of(const std::vector<size_t>& tables) {
  std::vector<std::string> result;
  for (auto i : tables)
    result.push_back(table_of(i));
  return result;
}

int64_t encode(const content& content) { return (content[0] * 1'000 + content[1]) * 1'000 + content[2]; }
content decode(int64_t number) { return {number / 1'000'000, number / 1'000 % 1'000, number % 1'000}; }

/// Commits and reads whose steps interleave at random; every table counts the commits that changed it.
class random_interleaving {
public:
  explicit random_interleaving(uint64_t seed) : random_(seed), fixture_(50, settings()) {
    at_seq_[10] = {};
    fixture_.add_readers(1 + pick(3));
  }

  void run() {
    for (auto i = 0; i < 120; ++i)
      step();
    while (!fixture_.running.empty())
      finish();
    CHECK(fixture_.answers.size() == asked_.size());
  }

private:
  struct question {
    size_t statement = 0;
    content floor;
  };

  static result_cache_settings settings() {
    result_cache_settings result;
    result.ttl = 1h;
    return result;
  }

  uint64_t pick(uint64_t below) { return random_() % below; }

  void step() {
    switch (pick(9)) {
    case 0: return begin_commit();
    case 1: return make_visible();
    case 2: return end_commit();
    case 3:
    case 4: return submit();
    case 5: return take_snapshot();
    case 6: return finish();
    case 7: return look_up();
    default:
      if (pick(4) == 0)
        fixture_.hits.suspect_all();
      fixture_.hits.sweep(fixture_.time.now(), pick(3));
      if (pick(6) == 0)
        fixture_.scheduler.forget_statements();
    }
  }

  void begin_commit() {
    if (window_)
      return;
    written_ = {pick(table_count)};
    if (pick(3) == 0)
      written_ = {0, 2};
    written_names_ = names_of(written_);
    window_.emplace(fixture_.context.versions(), written_names_, pick(10) == 0);
    done_ = false;
  }

  void make_visible() {
    if (!window_ || done_)
      return;
    done_ = true;
    for (auto i : written_)
      ++visible_[i];
  }

  void end_commit() {
    if (!window_)
      return;
    // A write that is not visible has failed; one in eight visible ones is not acknowledged.
    auto is_acknowledged = done_ && pick(8) != 0;
    if (is_acknowledged) {
      at_seq_[++seq_] = visible_;
      window_->committed(seq_);
    }
    window_.reset();
    if (is_acknowledged)
      raise(acknowledged_, visible_);
  }

  void submit() {
    auto id = "r" + std::to_string(asked_.size());
    auto which = pick(read_by_statement.size());
    asked_[id] = {which, floor()};
    auto request = a_read(id, sql_of(which));
    if (pick(8) == 0)
      request.freshness = freshness::fresh;
    if (pick(4) == 0)
      request.min_seq = fixture_.context.versions().last_commit();
    fixture_.submit(std::move(request));
    check_answers();
  }

  void take_snapshot() {
    if (fixture_.running.empty())
      return;
    auto& result = fixture_.running[pick(fixture_.running.size())];
    snapshots_.try_emplace(result.flight, visible_);
  }

  void finish() {
    if (fixture_.running.empty())
      return;
    auto i = pick(fixture_.running.size());
    auto flight = fixture_.running[i].flight;
    auto seen = snapshots_.try_emplace(flight, visible_).first->second;
    auto which = static_cast<size_t>(fixture_.running[i].request.query.sql.str()[1] - '0');
    fixture_.finish(i, fixture_.answer_of(encode(seen), names_of(read_by_statement[which]), true, pick(8) == 0));
    check_answers();
  }

  void look_up() {
    auto which = pick(read_by_statement.size());
    auto least = floor();
    if (auto found = fixture_.hit(sql_of(which))) {
      ++hits_;
      check(which, least, *found);
    }
  }

  content floor() const {
    auto result = acknowledged_;
    raise(result, returned_);
    return result;
  }

  static void raise(content& target, const content& by) {
    for (size_t i = 0; i < table_count; ++i)
      target[i] = std::max(target[i], by[i]);
  }

  void check_answers() {
    for (auto& [id, answer] : fixture_.answers)
      if (checked_.insert(id).second) {
        REQUIRE(answer);
        check(asked_.at(id).statement, asked_.at(id).floor, *answer);
      }
  }

  void check(size_t which, const content& least, const read_result& answer) {
    auto seen = decode(*answer.rows->at(0, 0).integer());
    const auto& promised = at_seq_.at(answer.as_of_seq);
    for (auto i : read_by_statement[which]) {
      CHECK(seen[i] >= least[i]);
      CHECK(seen[i] >= promised[i]);
      returned_[i] = std::max(returned_[i], seen[i]);
    }
  }

  std::mt19937_64 random_;
  read_fixture fixture_;
  std::vector<size_t> written_;
  // Declared before the window, which refers to it.
  std::vector<std::string> written_names_;
  std::optional<commit_window> window_;
  bool done_ = false;
  uint64_t seq_ = 10;
  content visible_{};
  content acknowledged_{};
  content returned_{};
  std::map<uint64_t, content> at_seq_;
  std::map<uint64_t, content> snapshots_;
  std::map<std::string, question> asked_;
  std::set<std::string> checked_;

public:
  uint64_t hits_ = 0;
  uint64_t joined() const { return fixture_.scheduler.joined(); }
};

} // namespace

TEST_CASE("no read returns an older state than was acknowledged or returned before it began") {
  uint64_t hits = 0;
  uint64_t joined = 0;
  for (uint64_t seed = 1; seed <= 4'000; ++seed) {
    INFO("seed " << seed);
    random_interleaving f{seed};
    f.run();
    hits += f.hits_;
    joined += f.joined();
  }
  // The test proves nothing unless answers were shared.
  CHECK(hits > 1'000);
  CHECK(joined > 1'000);
}

TEST_CASE("once a read has shown an external commit, no older answer is given again") {
  read_fixture b;
  b.add_readers();
  b.submit("a", "q");
  b.finish(0, b.answer_of(1, {"t"}));
  REQUIRE(b.hit("q"));
  b.submit("b", "q2");
  b.finish(0, b.answer_of(2, {"u"}, true, true));
  CHECK(b.suspects == std::vector<std::string>{"app.db"});
  CHECK(!b.hit("q"));
  CHECK(b.cell("b") == 2);
  CHECK(!b.hit("q2"));
  b.submit("c", "q2");
  b.finish(0, b.answer_of(3, {"u"}));
  CHECK(b.suspects.size() == 1);
  CHECK(b.hit("q2"));
}

} // namespace sluice::test::read_model_test
