#include "runtime/sqlite/ledger/key_ages.hpp"

#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/files/file_permissions.hpp"
#include "runtime/sqlite/ledger/key_clock.hpp"
#include "runtime/sqlite/ledger/ledger_state.hpp"

namespace sluice::sqlite {

namespace {

// The wall clock may be adjusted by this much in normal operation.
constexpr std::chrono::microseconds tolerance = std::chrono::hours{1};

// Whether the wall clock went back between the commits of the present keys, or is behind them now.
caf::expected<bool> was_wall_clock_set_back(const connection& db, int64_t wall_us) {
  auto limit = std::to_string(tolerance.count());
  auto found =
    read_number(db, "WITH c AS (SELECT ts_us, max(ts_us) OVER (ORDER BY commit_seq) AS latest FROM _sluice_commits "
                    "WHERE commit_seq >= (SELECT min(commit_seq) FROM _sluice_keys)) "
                    "SELECT EXISTS (SELECT 1 FROM c WHERE latest > ts_us + "
                      + limit + " OR ts_us > " + std::to_string(wall_us) + " + " + limit + ")");
  if (!found)
    return std::move(found.error());
  return *found != 0;
}

} // namespace

caf::expected<std::string> find_early_keys(const connection& db, const clock& time) {
  auto kept = read_key_time(db);
  if (!kept)
    return std::move(kept.error());
  if (!*kept)
    return std::string{};
  auto newest = prepared_statement::prepare(db, "SELECT id, created_us FROM _sluice_keys ORDER BY id DESC LIMIT 1");
  if (!newest)
    return std::move(newest.error());
  auto any = newest->step();
  if (!any)
    return std::move(any.error());
  if (!*any)
    return std::string{};
  auto wall = wall_us(time);
  auto set_back = was_wall_clock_set_back(db, wall);
  if (!set_back)
    return std::move(set_back.error());
  if (*set_back)
    return std::string{};
  key_clock age{time};
  age.go_on(**kept, newest->integer(0), newest->integer(1));
  auto stmt = prepared_statement::prepare(
    db, "SELECT count(*), min(k.commit_seq), max((?1 - iif(k.id <= ?2, ?3, k.created_us)) - (?4 - c.ts_us)) "
        "FROM _sluice_keys k JOIN _sluice_commits c USING (commit_seq) "
        "WHERE (?1 - iif(k.id <= ?2, ?3, k.created_us)) > (?4 - c.ts_us) + ?5");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, age.now_us());
  stmt->bind(2, (*kept)->last_undated_id);
  stmt->bind(3, (*kept)->begun_us);
  stmt->bind(4, wall);
  stmt->bind(5, static_cast<int64_t>(tolerance.count()));
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  if (stmt->integer(0) == 0)
    return std::string{};
  auto hours = stmt->integer(2) / std::chrono::microseconds{std::chrono::hours{1}}.count();
  return std::to_string(stmt->integer(0)) + " idempotency keys, the first of commit " + std::to_string(stmt->integer(1))
         + ", count as up to " + std::to_string(hours)
         + " h older than their commits: they would be forgotten early, and a retry would be applied again";
}

} // namespace sluice::sqlite
