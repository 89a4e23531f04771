#include "tests/simulation/model.hpp"

#include "tests/simulation/execution_time.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace sluice::simulation {

namespace {

constexpr std::array schema{
  "CREATE TABLE registers(k INTEGER PRIMARY KEY, v INTEGER NOT NULL CHECK (v >= 0))",
  "CREATE TABLE children(id INTEGER PRIMARY KEY, k INTEGER NOT NULL REFERENCES registers(k) ON DELETE CASCADE)",
  "CREATE TABLE tally(id INTEGER PRIMARY KEY, n INTEGER NOT NULL)",
  "INSERT INTO tally VALUES (1, 0)",
  "CREATE TRIGGER inserted AFTER INSERT ON registers BEGIN UPDATE tally SET n = n + 1; END",
  "CREATE TRIGGER updated AFTER UPDATE ON registers BEGIN UPDATE tally SET n = n + 1; END",
  "CREATE TRIGGER erased AFTER DELETE ON registers BEGIN UPDATE tally SET n = n + 1; END",
  "CREATE TABLE accounts(id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n >= 0))",
  "INSERT INTO accounts VALUES (0, 100), (1, 100), (2, 100)",
  "CREATE TABLE guarded(id INTEGER PRIMARY KEY)",
  "CREATE TRIGGER guard BEFORE INSERT ON guarded BEGIN SELECT RAISE(ROLLBACK, 'guarded'); END",
  "CREATE TABLE foreigners(id INTEGER PRIMARY KEY, n INTEGER NOT NULL)",
  "INSERT INTO foreigners VALUES (1, 0)",
  "CREATE TABLE buffered(id INTEGER PRIMARY KEY, a INTEGER, b INTEGER NOT NULL DEFAULT 0 CHECK (b >= 0))",
};

// The rows of a slow statement, each of which is one call: ?1 is the lane, ?2 the number of rows, ?3 the time of each.
#define SLUICE_SIMULATED_WORK                                                                                          \
  "(WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?2) SELECT simulated_work(?1, ?3) AS w "  \
  "FROM n)"

std::vector<value> work_of(int64_t lane, int64_t time_ms) {
  auto each = execution_time::step.count();
  return {lane, std::max<int64_t>(1, time_ms / each), each};
}

std::string cell_text(const value& cell) {
  if (auto* i = cell.integer())
    return std::to_string(*i);
  return cell.is_null() ? "-" : "?";
}

template <class Map> std::string pairs_text(const Map& values) {
  std::string result;
  for (const auto& [key, content] : values)
    result += std::to_string(key) + ',' + std::to_string(content) + ';';
  return result;
}

} // namespace

std::vector<statement> sql_of(const step& step) {
  switch (step.action) {
  case verb::create: {
    std::vector<statement> result;
    for (auto* sql : schema)
      result.push_back({sql, {}});
    return result;
  }
  case verb::put:
    return {
      {"INSERT INTO registers VALUES (?1, ?2) ON CONFLICT(k) DO UPDATE SET v = excluded.v", {step.key, step.number}}};
  case verb::insert: return {{"INSERT INTO registers(k, v) VALUES (?1, ?2)", {step.key, step.number}}};
  case verb::erase: return {{"DELETE FROM registers WHERE k = ?1", {step.key}}};
  case verb::add: return {{"UPDATE registers SET v = v + ?2 WHERE k = ?1 RETURNING v", {step.key, step.number}}};
  case verb::give: return {{"UPDATE accounts SET n = n + ?2 WHERE id = ?1 RETURNING n", {step.key, step.number}}};
  case verb::adopt: return {{"INSERT INTO children(id, k) VALUES (?1, ?2)", {step.number, step.key}}};
  case verb::drop_view: return {{"DROP VIEW IF EXISTS shown", {}}};
  case verb::make_view:
    return {{step.key == 0 ? "CREATE VIEW shown AS SELECT n AS x FROM tally"
                           : "CREATE VIEW shown AS SELECT count(*) AS x FROM registers",
             {}}};
  case verb::insert_twice: return {{"INSERT INTO registers(k, v) VALUES (?1, 1), (?1, 2)", {step.key}}};
  case verb::veto: return {{"INSERT INTO guarded VALUES (?1)", {step.key}}};
  case verb::nonsense: return {{"INSERT INTO nowhere VALUES (?1)", {step.key}}};
  case verb::work: return {{"DELETE FROM accounts WHERE id IN " SLUICE_SIMULATED_WORK, work_of(step.key, step.number)}};
  }
  return {};
}

statement sql_of(question asked, int64_t key) {
  switch (asked) {
  case question::one: return {"SELECT v FROM registers WHERE k = ?1", {key}};
  case question::all: return {"SELECT k, v FROM registers ORDER BY k", {}};
  case question::tally: return {"SELECT n FROM tally", {}};
  case question::sum: return {"SELECT sum(n) FROM accounts", {}};
  case question::children: return {"SELECT id, k FROM children ORDER BY id", {}};
  case question::joined: return {"SELECT count(*) FROM children JOIN registers USING (k)", {}};
  case question::view: return {"SELECT x FROM shown", {}};
  case question::foreign: return {"SELECT n FROM foreigners", {}};
  case question::rows: return {"SELECT id, a, b FROM buffered ORDER BY id", {}};
  case question::slow_sum: break;
  }
  return {};
}

statement slow_query(int64_t lane, int64_t time_ms) {
  return {"SELECT sum(n) FROM accounts WHERE id NOT IN (SELECT coalesce(w, -1) FROM " SLUICE_SIMULATED_WORK ")",
          work_of(lane, time_ms)};
}

std::string to_string(const step& step) {
  constexpr std::array<std::string_view, 13> words{"create", "put",      "insert",    "erase",     "add",
                                                   "give",   "adopt",    "drop view", "make view", "insert twice",
                                                   "veto",   "nonsense", "work"};
  return std::string{words[static_cast<size_t>(step.action)]} + ' ' + std::to_string(step.key) + ' '
         + std::to_string(step.number);
}

std::string to_string(question asked, int64_t key) {
  constexpr std::array<std::string_view, questions + 1> words{
    "register", "all registers", "tally",   "sum of accounts", "children",
    "joined",   "view",          "foreign", "buffered rows",   "slow sum"};
  auto result = std::string{words[static_cast<size_t>(asked)]};
  return asked == question::one ? result + ' ' + std::to_string(key) : result;
}

std::string text_of(const rowset& rows) {
  std::string result;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const auto& cell : rows.row(i))
      result += cell_text(cell) + ',';
    result.back() = ';';
  }
  return result;
}

bool model::apply(const std::vector<step>& steps, std::vector<effect>* effects) {
  auto before = *this;
  std::vector<effect> done;
  for (const auto& step : steps)
    if (!apply(step, done.emplace_back())) {
      *this = std::move(before);
      return false;
    }
  if (effects)
    *effects = std::move(done);
  return true;
}

bool model::put(const step& step, bool may_exist, effect& did) {
  auto found = registers_.count(step.key) > 0;
  if (step.number < 0 || (found && !may_exist))
    return false;
  registers_[step.key] = step.number;
  ++tally_;
  did.changes = 1;
  return true;
}

bool model::apply(const step& step, effect& did) {
  // SQLite creates a view of missing tables.
  if (step.action == verb::drop_view) {
    view_ = -1;
    return true;
  }
  if (step.action == verb::make_view) {
    if (view_ != -1)
      return false;
    view_ = step.key;
    return true;
  }
  if (!created_) {
    if (step.action != verb::create)
      return false;
    created_ = true;
    for (int64_t i = 0; i < accounts; ++i)
      accounts_[i] = money / accounts;
    return true;
  }
  switch (step.action) {
  case verb::create: return false;
  case verb::put: return put(step, true, did);
  case verb::insert: return put(step, false, did);
  case verb::erase:
    did.changes = static_cast<int64_t>(registers_.erase(step.key));
    tally_ += did.changes;
    std::erase_if(children_, [&](const auto& child) { return child.second == step.key; });
    return true;
  case verb::add: {
    auto found = registers_.find(step.key);
    did.changes = found == registers_.end() ? 0 : 1;
    if (did.changes == 0)
      return true;
    if (found->second + step.number < 0)
      return false;
    found->second += step.number;
    did.returned = found->second;
    ++tally_;
    return true;
  }
  case verb::give:
    if (accounts_.at(step.key) + step.number < 0)
      return false;
    did.changes = 1;
    did.returned = accounts_[step.key] += step.number;
    return true;
  case verb::work: did.changes = 0; return true;
  case verb::adopt:
    if (children_.count(step.number) > 0 || registers_.count(step.key) == 0)
      return false;
    children_[step.number] = step.key;
    did.changes = 1;
    return true;
  default: return false;
  }
}

std::optional<std::string> model::answer(question asked, int64_t key, int64_t foreign) const {
  if (!created_)
    return std::nullopt;
  auto number = [](int64_t x) { return std::to_string(x) + ';'; };
  switch (asked) {
  case question::one: {
    auto found = registers_.find(key);
    return found == registers_.end() ? std::string{} : number(found->second);
  }
  case question::all: return pairs_text(registers_);
  case question::tally: return number(tally_);
  case question::sum:
  case question::slow_sum: return number(money);
  case question::children: return pairs_text(children_);
  case question::joined: return number(static_cast<int64_t>(children_.size()));
  case question::view:
    if (view_ == -1)
      return std::nullopt;
    return number(view_ == 0 ? tally_ : static_cast<int64_t>(registers_.size()));
  case question::foreign: return number(foreign);
  case question::rows: break;
  }
  std::string result;
  for (const auto& [id, cells] : rows_)
    result +=
      std::to_string(id) + ',' + (cells.a ? std::to_string(*cells.a) : "-") + ',' + std::to_string(cells.b) + ';';
  return result;
}

#undef SLUICE_SIMULATED_WORK

} // namespace sluice::simulation
