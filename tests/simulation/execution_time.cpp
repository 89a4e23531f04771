#include "tests/simulation/execution_time.hpp"

#include <sqlite3.h>

namespace sluice::simulation {

namespace {

using entry_point = void (*)();

execution_time* active_time = nullptr;

} // namespace

execution_time::execution_time(spender spend) : spend_(std::move(spend)) {
  active_time = this;
  sqlite3_auto_extension(reinterpret_cast<entry_point>(&execution_time::extend));
}

execution_time::~execution_time() {
  sqlite3_cancel_auto_extension(reinterpret_cast<entry_point>(&execution_time::extend));
  active_time = nullptr;
}

int execution_time::extend(sqlite3* db, char**, const sqlite3_api_routines*) {
  return sqlite3_create_function_v2(db, "simulated_work", 2, SQLITE_UTF8, nullptr, &execution_time::work, nullptr,
                                    nullptr, nullptr);
}

void execution_time::work(sqlite3_context*, int, sqlite3_value** values) {
  auto time = milliseconds{sqlite3_value_int64(values[1])};
  // A copy of the store may be checked when the machine no longer exists.
  if (active_time && active_time->spend_(time))
    active_time->spent_[sqlite3_value_int64(values[0])] += time;
}

execution_time::milliseconds execution_time::spent(const lane& lane) const {
  auto found = spent_.find(lane.number());
  return found == spent_.end() ? milliseconds{0} : found->second;
}

} // namespace sluice::simulation
