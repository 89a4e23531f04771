#pragma once

#include "messages/rowset.hpp"
#include "messages/statement.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sluice::simulation {

/// The kind of one step of a write. The tables are in `model.cpp`: registers with a trigger, children with a cascade,
/// accounts that must not go below zero, a view whose meaning changes, and a table for the buffer.
enum class verb : uint8_t {
  create,
  put,
  insert,
  erase,
  add,
  give,
  adopt,
  drop_view,
  make_view,
  /// Fails in its second row, when its first has been written.
  insert_twice,
  /// Fails, and rolls back the whole transaction.
  veto,
  nonsense,
  /// Changes nothing, and spends execution time of the lane `key`, for `number` milliseconds.
  work,
};

struct step {
  verb action = verb::put;
  int64_t key = 0;
  int64_t number = 0;

  friend bool operator==(const step&, const step&) = default;
};

/// The queries of readers. The last one, the sum, spends execution time, and is not drawn at random.
enum class question : uint8_t { one, all, tally, sum, children, joined, view, foreign, rows, slow_sum };

constexpr uint32_t questions = 9;

/// The SQL of a step, and of a query.
std::vector<statement> sql_of(const step& step);
statement sql_of(question asked, int64_t key);
/// The slow question of this lane.
statement slow_query(int64_t lane, int64_t time_ms);

/// The step as text for people.
std::string to_string(const step& step);
std::string to_string(question asked, int64_t key);

/// Rows as text, to be compared and printed.
std::string text_of(const rowset& rows);

/// A row of the table that the buffer writes; a column that is missing is NULL, or its default.
struct buffered_cells {
  std::optional<int64_t> a;
  int64_t b = 0;

  friend bool operator==(const buffered_cells&, const buffered_cells&) = default;
};

/// The content of one database in plain maps, with which SQLite and the broker are compared.
class model {
public:
  /// The effect of a step: rows changed, and the returned value; -1 where it is not compared.
  struct effect {
    int64_t changes = -1;
    std::optional<int64_t> returned;
  };

  /// Applies all steps or none; false when one of them fails.
  bool apply(const std::vector<step>& steps, std::vector<effect>* effects = nullptr);

  /// The rows that answer a query; nothing when the statement itself fails. `foreign` is the value of external commits.
  std::optional<std::string> answer(question asked, int64_t key, int64_t foreign) const;

  bool created() const noexcept { return created_; }
  std::map<int64_t, buffered_cells>& rows() noexcept { return rows_; }
  const std::map<int64_t, buffered_cells>& rows() const noexcept { return rows_; }

private:
  bool apply(const step& step, effect& did);
  bool put(const step& step, bool may_exist, effect& did);

  bool created_ = false;
  std::map<int64_t, int64_t> registers_;
  std::map<int64_t, int64_t> children_;
  std::map<int64_t, int64_t> accounts_;
  std::map<int64_t, buffered_cells> rows_;
  int64_t tally_ = 0;
  int64_t view_ = -1;
};

/// The number of accounts, and the sum of their balances.
constexpr int64_t accounts = 3;
constexpr int64_t money = 300;

} // namespace sluice::simulation
