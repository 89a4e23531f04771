#include "runtime/broker/store_status.hpp"

#include "actors/base/counted.hpp"
#include "runtime/sqlite/core/answer_budget.hpp"
#include "runtime/sqlite/files/file_header.hpp"
#include "runtime/sqlite/ledger/ledger.hpp"
#include "runtime/store/live_policy.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <unistd.h>

namespace sluice {

namespace {

namespace fs = std::filesystem;

uint64_t size_of(const fs::path& file) {
  std::error_code failed;
  auto bytes = fs::file_size(file, failed);
  return failed ? 0 : bytes;
}

bool has_database_name(const fs::path& file) {
  auto ending = file.extension();
  return ending == ".db" || ending == ".sqlite" || ending == ".sqlite3";
}

bool has(const std::vector<database_status>& databases, const std::string& name) {
  return std::any_of(databases.begin(), databases.end(), [&](const auto& x) { return x.name == name; });
}

bool has(const std::vector<database_file>& files, const std::string& name) {
  return std::any_of(files.begin(), files.end(), [&](const auto& x) { return x.name == name; });
}

// A database that was not used since this broker started has no counters; its newest commit is read from its file.
database_status unopened(const fs::path& root, const std::string& name) {
  database_status status;
  status.name = name;
  if (auto seq = sqlite::last_commit_seq(root / name))
    status.last_commit_seq = *seq;
  return status;
}

} // namespace

std::vector<database_timings> gather_timings(const broker& leader) {
  std::vector<database_timings> result;
  for (auto* context : leader.actors().contexts()) {
    const auto& timings = context->timings();
    result.push_back({context->name(), timings.queue.read(), timings.execution.read(), timings.commit.read()});
  }
  return result;
}

database_file measure_database_file(const fs::path& root, const std::string& name) {
  return {name, size_of(root / name), size_of(root / (name + "-wal"))};
}

std::vector<database_file> find_database_files(const fs::path& root) {
  std::vector<database_file> result;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator{fs::absolute(root, failed), failed}) {
    std::error_code unreadable;
    if (has_database_name(entry.path()) && entry.is_regular_file(unreadable)
        && sqlite::looks_like_database(entry.path()))
      result.push_back(measure_database_file(root, entry.path().filename()));
  }
  std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return result;
}

policy_status policy_status_of(const access_policy& policy) {
  policy_status result{policy.exists(), policy.rules().agents.size(), policy.hash(), {}, {}};
  if (policy.exists())
    result.raw_sql = policy.rules().raw_sql;
  return result;
}

policy_status gather_policy(const broker& leader) {
  auto result = policy_status_of(*leader.policy().current());
  if (auto mistake = leader.policy().mistake())
    result.mistake = mistake->message;
  return result;
}

std::string policy_text(const policy_status& policy) {
  if (!policy.in_force)
    return "none: the owner of the folder may do everything";
  return fmt::format("{}; SQL for {}", counted(policy.rules, "rule"),
                     policy.raw_sql.empty() ? "nobody" : fmt::format("{}", fmt::join(policy.raw_sql, ", ")));
}

store_status gather_status(const broker& leader, std::vector<running_request> reads) {
  store_status status;
  status.broker = leader.status();
  auto& running = status.broker.running = leader.running_writes();
  std::move(reads.begin(), reads.end(), std::back_inserter(running));
  std::stable_sort(running.begin(), running.end(),
                   [](const running_request& a, const running_request& b) { return a.since_ms > b.since_ms; });
  auto is_cursor = [](const running_request& y) { return y.operation == "cursor"; };
  status.answers = {leader.answers().used(), leader.answers().max_bytes()};
  status.cursors = {static_cast<uint64_t>(std::count_if(running.begin(), running.end(), is_cursor)),
                    leader.config().max_cursors};
  status.files = find_database_files(status.broker.root);
  status.leader_pid = getpid();
  status.policy = gather_policy(leader);
  status.timings = gather_timings(leader);
  for (const auto& file : status.files)
    if (!has(status.broker.databases, file.name))
      status.broker.databases.push_back(unopened(status.broker.root, file.name));
  // Databases in subfolders or with other endings.
  for (const auto& db : status.broker.databases)
    if (!has(status.files, db.name))
      status.files.push_back(measure_database_file(status.broker.root, db.name));
  return status;
}

} // namespace sluice
