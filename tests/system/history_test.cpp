// Records the calls and answers of threads of the broker's own process, including hits in the caller's thread, and runs
// the checker of tests/histories/ on them; the histories of several processes are in tests/processes/history_test.py.

#include "tests/system/fixture.hpp"

#include <nlohmann/json.hpp>

#include <atomic>
#include <fstream>
#include <random>
#include <thread>

namespace sluice::test::history_test {

namespace {

using json = nlohmann::json;

constexpr int registers = 2;
constexpr int accounts = 4;
constexpr int begin_with = 100;

const sql_text read_register{"SELECT value FROM registers WHERE key = ?"};
const sql_text set_register{"UPDATE registers SET value = ? WHERE key = ?"};
const sql_text swap_register{"UPDATE registers SET value = ? WHERE key = ? AND value IS ?"};
const sql_text read_list{"SELECT item FROM items ORDER BY id"};
const sql_text append_item{"INSERT INTO items (item) VALUES (?)"};
const sql_text read_bank{"SELECT (SELECT count(*) FROM transfers), balance FROM accounts ORDER BY id"};
const sql_text move_money{"UPDATE accounts SET balance = balance + ? WHERE id = ?"};
const sql_text note_transfer{"INSERT INTO transfers (name) VALUES (?)"};

int64_t now_ns() { return std::chrono::nanoseconds{std::chrono::steady_clock::now().time_since_epoch()}.count(); }

json json_of(const value& cell) {
  return cell.integer() ? json(*cell.integer()) : cell.text() ? json(*cell.text()) : json();
}

// One thread's part of a history; written to the file at the end, so that it does not slow down the threads.
class agent {
public:
  agent(std::string name, database db, unsigned seed) : name_(std::move(name)), db_(std::move(db)), random_(seed) {}

  void run(int operations) {
    for (int n = 0; n < operations; ++n) {
      auto label = name_ + "-" + std::to_string(n);
      auto number = n * 100 + std::stoi(name_);
      switch (random_() % 16) {
      case 0: set(number); break;
      case 1: swap(number); break;
      case 2: write("list:l", "append", label, {{append_item, {label}}}); break;
      case 3: transfer(label); break;
      case 4: look_at_list(); break;
      case 5:
      case 6: look_at_bank(); break;
      default: look_at_register(); break;
      }
    }
  }

  void look_at_list() {
    read("list:l", {read_list, {}}, [](const rowset& rowset) {
      auto items = json::array();
      for (size_t i = 0; i < rowset.size(); ++i)
        items.push_back(json_of(rowset.at(i, 0)));
      return items;
    });
  }

  void look_at_order() {
    read("bank:b", {"SELECT name FROM transfers ORDER BY id", {}}, [](const rowset& rowset) {
      auto names = json::array();
      for (size_t i = 0; i < rowset.size(); ++i)
        names.push_back(json_of(rowset.at(i, 0)));
      return names;
    });
    lines_[lines_.size() - 2]["do"] = "order";
  }

  bool write(std::string object, const char* action, json value, std::vector<statement> statements,
             bool swaps = false) {
    begin(std::move(object), action, std::move(value));
    auto done = db_.write(write_of("agent", std::move(statements)));
    if (!done) {
      end(describe(done.error()).outcome == outcome::unknown ? "unknown" : "failed");
      return false;
    }
    end("ok");
    lines_.back()["seq"] = done->commit_seq;
    if (swaps)
      lines_.back()["result"] = done->results[0].changes == 1;
    return true;
  }

  void write_down(std::ostream& out) const {
    for (const auto& line : lines_)
      out << line.dump() << '\n';
  }

private:
  int pick(int count) { return static_cast<int>(random_() % static_cast<unsigned>(count)); }

  void set(int number) {
    auto key = pick(registers);
    write("register:" + std::to_string(key), "write", number, {{set_register, {number, key}}});
  }

  void swap(int number) {
    auto key = pick(registers);
    const auto& expected = seen_[static_cast<size_t>(key)];
    write("register:" + std::to_string(key), "cas", {json_of(expected), number},
          {{swap_register, {value{number}, value{key}, expected}}}, true);
  }

  void transfer(const std::string& label) {
    auto giver = pick(accounts);
    auto taker = (giver + 1 + pick(accounts - 1)) % accounts;
    auto amount = 1 + pick(40);
    write("bank:b", "transfer", {label, giver, taker, amount},
          {{move_money, {-amount, giver}}, {move_money, {amount, taker}}, {note_transfer, {label}}});
  }

  void look_at_register() {
    auto key = pick(registers);
    read("register:" + std::to_string(key), {read_register, {key}}, [&](const rowset& rowset) {
      seen_[static_cast<size_t>(key)] = rowset.at(0, 0);
      return json_of(rowset.at(0, 0));
    });
  }

  void look_at_bank() {
    read("bank:b", {read_bank, {}}, [](const rowset& rowset) {
      auto balances = json::array();
      for (size_t i = 0; i < rowset.size(); ++i)
        balances.push_back(json_of(rowset.at(i, 1)));
      return json{json_of(rowset.at(0, 0)), balances};
    });
  }

  template <class Result> void read(std::string object, statement query, Result result_of) {
    read_request request;
    request.agent = "agent";
    request.query = std::move(query);
    request.freshness = pick(8) == 0 ? freshness::fresh : freshness::cached;
    begin(std::move(object), "read", nullptr);
    auto seen = db_.read(std::move(request));
    end(seen ? "ok" : "failed");
    if (seen)
      lines_.back()["result"] = result_of(*seen->rows);
  }

  void begin(std::string object, const char* action, json value) {
    lines_.push_back({{"process", name_}, {"id", lines_.size()}, {"object", std::move(object)}, {"do", action}});
    lines_.back()["value"] = std::move(value);
    lines_.back()["start"] = now_ns();
  }

  void end(const char* outcome) {
    auto at = now_ns();
    lines_.push_back({{"process", name_}, {"id", lines_.back()["id"]}, {"outcome", outcome}, {"end", at}});
  }

  std::string name_;
  database db_;
  std::mt19937 random_;
  std::array<value, registers> seen_;
  std::vector<json> lines_;
};

agent founded(const database& db) {
  agent founder{"0", db, 0};
  std::vector<statement> statements{{"CREATE TABLE registers (key INTEGER PRIMARY KEY, value INTEGER)", {}},
                                    {"CREATE TABLE items (id INTEGER PRIMARY KEY, item TEXT NOT NULL)", {}},
                                    {"CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)", {}},
                                    {"CREATE TABLE transfers (id INTEGER PRIMARY KEY, name TEXT NOT NULL)", {}}};
  for (int i = 0; i < registers; ++i)
    statements.push_back({"INSERT INTO registers VALUES (?, NULL)", {i}});
  for (int i = 0; i < accounts; ++i)
    statements.push_back({"INSERT INTO accounts VALUES (?, ?)", {i, begin_with}});
  REQUIRE(founder.write("bank:b", "open", std::vector<int>(accounts, begin_with), std::move(statements)));
  return founder;
}

// The output of the checker; empty when it finds a violation.
std::string verdict_on(const std::filesystem::path& history) {
  child_process checker{"/usr/bin/env", {"python3", "-B", SLUICE_SOURCE_DIR "/tests/histories/check.py", history}};
  std::string said;
  for (auto line = checker.line(); !line.empty(); line = checker.line())
    said += line + "\n";
  INFO(said);
  REQUIRE(checker.wait() == 0);
  return said;
}

// Runs six threads while `meanwhile(stop)` runs in another one, and returns the verdict.
template <class Meanwhile> void check_history(one_database& store, int operations, Meanwhile meanwhile) {
  auto founder = founded(store.db);
  std::vector<agent> agents;
  for (unsigned i = 1; i <= 6; ++i)
    agents.emplace_back(std::to_string(i), store.db, i);
  std::vector<std::thread> threads;
  for (auto& x : agents)
    threads.emplace_back([&x, operations] { x.run(operations); });
  std::atomic<bool> stop{false};
  std::thread other{[&] { meanwhile(stop); }};
  for (auto& each : threads)
    each.join();
  stop = true;
  other.join();
  // The supervisor may not have noticed the last kill yet; this request comes after it.
  await([&store] {
    read_request request;
    request.query = {"SELECT 1", {}};
    request.freshness = freshness::fresh;
    return static_cast<bool>(store.db.read(std::move(request)));
  });
  founder.look_at_list();
  founder.look_at_order();
  auto file = store.folder / "history.jsonl";
  {
    std::ofstream out{file};
    founder.write_down(out);
    for (const auto& item : agents)
      item.write_down(out);
  }
  verdict_on(file);
}

} // namespace

TEST_CASE("the history of threads is linearizable, cache hits included", "[system]") {
  one_database store;
  check_history(store, soak(1'000), [](const std::atomic<bool>&) {});
  CHECK(store.host.status().cache.hits > 100);
}

TEST_CASE("the history of threads is linearizable while actors are killed", "[system]") {
  // With this limit no number of kills puts the database in quarantine.
  one_database store{[](broker_config& cfg) {
    cfg.restart_limit = 1'000;
    cfg.restart_window = std::chrono::milliseconds{1};
  }};
  int kills = 0;
  check_history(store, soak(1'000), [&](const std::atomic<bool>& stop) {
    auto& actors = store.host.actors();
    std::mt19937 random{11};
    while (!stop) {
      auto before = actors.restarts.load();
      auto route = actors.context("app.db").route();
      if (route && random() % 3 > 0)
        caf::anon_send_exit(route->writer, caf::exit_reason::kill);
      else
        caf::anon_send_exit(actors.cache(), caf::exit_reason::kill);
      ++kills;
      await([&] { return stop || actors.restarts.load() > before; });
    }
  });
  CHECK(kills > 2);
}

} // namespace sluice::test::history_test
