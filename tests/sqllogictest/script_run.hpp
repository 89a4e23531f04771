#pragma once

#include "runtime/broker/broker.hpp"
#include "tests/sqllogictest/script.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sluice::test {

/// The results of a script.
struct script_counts {
  size_t statements = 0;
  size_t queries = 0;
  size_t skipped = 0;
  size_t failed = 0;
  /// Queries whose second answer came from the cache.
  size_t hits = 0;
};

/// Runs records against a database of a broker: statements as writes, queries as reads through the cache. Each query is
/// asked twice, and must get the same answer both times.
class script_run {
public:
  /// `complain` gets a line for each failure.
  script_run(database db, std::string file, std::function<void(const std::string&)> complain)
    : db_(std::move(db)), file_(std::move(file)), complain_(std::move(complain)) {}

  void run(const std::vector<script_record>& records);

  const script_counts& counts() const noexcept { return counts_; }

private:
  void statement(const script_record& record);
  void query(const script_record& record);
  caf::expected<read_result> ask(const script_record& record) const;
  void compare(const script_record& record, const std::vector<std::string>& values);
  void compare_values(const script_record& record, const std::vector<std::string>& values);
  void compare_label(const script_record& record, const std::string& hash);
  void fail(size_t line, const std::string& reason);

  database db_;
  std::string file_;
  std::function<void(const std::string&)> complain_;
  script_counts counts_;
  size_t threshold_ = 0;
  std::map<std::string, std::string> labels_;
};

} // namespace sluice::test
