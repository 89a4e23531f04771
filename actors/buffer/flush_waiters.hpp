#pragma once

#include "actors/buffer/buffered_database.hpp"
#include "messages/buffer.hpp"

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace sluice {

/// Callers that wait until everything up to an operation has been written, has been rejected, or could not be written
/// this time; and the report for each. Not synchronized.
class flush_waiters {
public:
  using report_handler = std::function<void(const flush_report&)>;

  /// @param table empty means all
  /// @param number the operation
  /// @param databases those with pending rows. @pre not empty
  /// @param done called once, by `finish`
  void add(const std::string& table, uint64_t number, std::set<std::string> databases, report_handler done);

  /// A request has this outcome: counts it for the callers that wait for its database, and calls those that wait for no
  /// database any more. They may add others. @param db the database as it is now; null when nothing of it is pending
  void finish(const flush_outcome& outcome, const buffered_database* db);

private:
  struct waiter {
    // Folded; empty means all.
    std::string table;
    uint64_t number = 0;
    std::set<std::string> databases;
    flush_report report;
    report_handler done;
  };

  static void count(waiter& waiting, const flush_outcome& outcome, uint64_t left);

  std::vector<waiter> waiters_;
};

} // namespace sluice
