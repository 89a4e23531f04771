#include "runtime/broker/store_status.hpp"

#include "runtime/sqlite/core/answer_budget.hpp"
#include "runtime/sqlite/files/file_header.hpp"
#include "runtime/sqlite/ledger/ledger.hpp"

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

// A database that nobody has asked this broker for has no counters; its file still tells its newest commit.
database_status unopened(const fs::path& root, const std::string& name) {
  database_status x;
  x.name = name;
  if (auto seq = sqlite::last_commit_seq(root / name))
    x.last_commit_seq = *seq;
  return x;
}

} // namespace

std::vector<database_timings> gather_timings(const broker& leader) {
  std::vector<database_timings> result;
  for (auto* context : leader.actors().contexts()) {
    const auto& x = context->timings();
    result.push_back({context->name(), x.queue.look(), x.execution.look(), x.commit.look()});
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

store_status gather_status(const broker& leader, std::vector<running_request> reads) {
  store_status x;
  x.broker = leader.status();
  auto& running = x.broker.running = leader.running_writes();
  std::move(reads.begin(), reads.end(), std::back_inserter(running));
  std::stable_sort(running.begin(), running.end(),
                   [](const running_request& a, const running_request& b) { return a.since_ms > b.since_ms; });
  auto is_cursor = [](const running_request& y) { return y.operation == "cursor"; };
  x.answers = {leader.answers().used(), leader.answers().max_bytes()};
  x.cursors = {static_cast<uint64_t>(std::count_if(running.begin(), running.end(), is_cursor)),
               leader.config().max_cursors};
  x.files = find_database_files(x.broker.root);
  x.leader_pid = getpid();
  x.timings = gather_timings(leader);
  for (const auto& file : x.files)
    if (!has(x.broker.databases, file.name))
      x.broker.databases.push_back(unopened(x.broker.root, file.name));
  // In a subfolder, or under another ending.
  for (const auto& db : x.broker.databases)
    if (!has(x.files, db.name))
      x.files.push_back(measure_database_file(x.broker.root, db.name));
  return x;
}

} // namespace sluice
