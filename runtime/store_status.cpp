#include "runtime/store_status.hpp"

#include "runtime/sqlite/ledger.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>
#include <unistd.h>

namespace sluice {

namespace {

namespace fs = std::filesystem;

uint64_t size_of(const fs::path& file) {
  std::error_code failed;
  auto bytes = fs::file_size(file, failed);
  return failed ? 0 : bytes;
}

bool looks_like_database(const fs::path& file) {
  constexpr std::string_view magic{"SQLite format 3\0", 16};
  std::array<char, magic.size()> head{};
  std::ifstream in{file, std::ios::binary};
  in.read(head.data(), head.size());
  return in.gcount() == 0 ? in.eof() : std::string_view{head.data(), head.size()} == magic;
}

bool has_database_name(const fs::path& file) {
  auto ending = file.extension();
  return ending == ".db" || ending == ".sqlite" || ending == ".sqlite3";
}

nlohmann::json retry_json(const retry_status& x) {
  return {{"lock_errors", x.lock_errors},
          {"retries", x.retries},
          {"successes_after_retry", x.successes_after_retry},
          {"failures", x.failures},
          {"error_rate_5m", x.error_rate_5m},
          {"total_wait_ms", x.total_wait_ms},
          {"max_wait_ms", x.max_wait_ms},
          {"mean_wait_ms", x.mean_wait_ms},
          {"last_lock_error_us", x.last_lock_error_us}};
}

nlohmann::json database_json(const database_status& x, const database_file& file) {
  return {{"name", x.name},
          {"quarantined", x.quarantined},
          {"queued", x.queued},
          {"queued_bytes", x.queued_bytes},
          {"overloaded", x.overloaded},
          {"last_commit_seq", x.last_commit_seq},
          {"commits", x.commits},
          {"committed_requests", x.committed_requests},
          {"replayed_requests", x.replayed_requests},
          {"failed_requests", x.failed_requests},
          {"foreign_commits", x.foreign_commits},
          {"restarts", x.restarts},
          {"unmoved_wal_bytes", x.wal_bytes},
          {"file_bytes", file.bytes},
          {"wal_file_bytes", file.wal_bytes},
          {"retry", retry_json(x.retry)}};
}

nlohmann::json cache_json(const cache_status& x) {
  return {{"enabled", x.enabled},
          {"entries", x.entries},
          {"bytes", x.bytes},
          {"hits", x.hits},
          {"misses", x.misses},
          {"joined", x.joined},
          {"invalidated", x.invalidated},
          {"evicted", x.evicted}};
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

database_file measure_database_file(const fs::path& root, const std::string& name) {
  return {name, size_of(root / name), size_of(root / (name + "-wal"))};
}

std::vector<database_file> find_database_files(const fs::path& root) {
  std::vector<database_file> result;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator{root, failed}) {
    std::error_code unreadable;
    if (has_database_name(entry.path()) && entry.is_regular_file(unreadable) && looks_like_database(entry.path()))
      result.push_back(measure_database_file(root, entry.path().filename()));
  }
  std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return result;
}

store_status gather_status(const broker& leader) {
  store_status x;
  x.broker = leader.status();
  x.files = find_database_files(x.broker.root);
  x.leader_pid = getpid();
  for (const auto& file : x.files)
    if (!has(x.broker.databases, file.name))
      x.broker.databases.push_back(unopened(x.broker.root, file.name));
  // In a subfolder, or under another ending.
  for (const auto& db : x.broker.databases)
    if (!has(x.files, db.name))
      x.files.push_back(measure_database_file(x.broker.root, db.name));
  return x;
}

nlohmann::json as_json(const store_status& x) {
  auto databases = nlohmann::json::array();
  for (const auto& db : x.broker.databases) {
    auto file = std::find_if(x.files.begin(), x.files.end(), [&](const auto& f) { return f.name == db.name; });
    databases.push_back(database_json(db, file == x.files.end() ? database_file{} : *file));
  }
  return {{"store_root", x.broker.root},
          {"leader", {{"pid", x.leader_pid}, {"in_process", x.in_process}}},
          {"restarts", x.broker.restarts},
          {"cache", cache_json(x.broker.cache)},
          {"databases", std::move(databases)}};
}

} // namespace sluice
