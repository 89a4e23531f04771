#pragma once

#include "runtime/sqlite/audit/audit_segment.hpp"
#include "runtime/sqlite/audit/audit_store.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>
#include <sqlite3.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sluice::sqlite::test {

using sluice::test::temp_dir;

inline audit_record record(std::string agent, uint64_t commit = 0, std::string id = {}) {
  audit_record result;
  result.ts_us = 1'700'000'000'000'000 + static_cast<int64_t>(commit);
  result.agent = std::move(agent);
  result.db = "a.db";
  result.status = commit ? "committed" : "constraint";
  result.commit_seq = commit;
  result.request_id = id.empty() ? "r" + std::to_string(commit) : std::move(id);
  return result;
}

inline ledger_commit commit(uint64_t seq, std::vector<std::string> ids, std::string hash = {}) {
  ledger_commit result;
  result.seq = seq;
  result.ts_us = 1'600'000'000'000'000 + static_cast<int64_t>(seq);
  result.prev_hash = "hash " + std::to_string(seq - 1);
  result.hash = hash.empty() ? "hash " + std::to_string(seq) : std::move(hash);
  for (auto& id : ids) {
    ledger_request r;
    r.request_id = std::move(id);
    r.agent = "alice";
    result.requests.push_back(std::move(r));
  }
  return result;
}

// An audit file, and ledgers that the test defines.
struct audit_fixture {
  temp_dir dir;
  std::filesystem::path path = dir / "audit.db";
  std::map<std::string, std::vector<ledger_commit>> ledgers;
  std::map<std::string, ledger_epoch> epochs;
  std::map<std::string, chain_anchor> anchors;
  caf::error ledger_error;
  uint64_t page = 2;
  uint64_t lowest_asked = 0;
  std::unique_ptr<audit_store> store = reopened();

  std::unique_ptr<audit_store> reopened(const std::string& root = "/store") {
    auto source = [this](const std::string& db, uint64_t after) -> caf::expected<ledger_page> {
      if (ledger_error)
        return ledger_error;
      if (!ledgers.count(db))
        return make_error(errc::unknown_database, "no such file");
      lowest_asked = std::min(lowest_asked, after);
      ledger_page result;
      result.epoch = epochs[db];
      if (auto anchor = anchors.find(db); anchor != anchors.end())
        result.anchor = anchor->second;
      for (const auto& ledger : ledgers[db])
        if (ledger.seq > after && result.commits.size() < page)
          result.commits.push_back(ledger);
      return result;
    };
    auto opened = open_audit_store(path, root, source);
    INFO((opened ? std::string{} : describe(opened.error()).message));
    REQUIRE(opened);
    return std::move(*opened);
  }

  void append(std::vector<audit_record> records) { REQUIRE(store->append(records)); }

  // Each a segment of its own.
  void append_many(uint64_t count) {
    for (uint64_t i = 1; i <= count; ++i)
      append({record("agent", i)});
  }

  // The bytes of a segment as they would be with this one record.
  static std::string encoded(const audit_record& only) {
    segment_encoder encoder;
    encoder.add(to_row(only, 1, tables_text(only.tables)));
    return std::string{encoder.encoded()};
  }

  audit_verdict verdict() {
    auto result = store->verify();
    REQUIRE(result);
    return *result;
  }

  std::vector<audit_record> list(const audit_query& query = {}) {
    auto result = store->list(query);
    REQUIRE(result);
    return result->records;
  }

  std::vector<uint64_t> seqs(const audit_query& query = {}) {
    std::vector<uint64_t> result;
    for (const auto& each : list(query))
      result.push_back(each.seq);
    return result;
  }

  std::vector<audit_record> missing(const std::string& db = "a.db") { return compare(db).missing; }

  ledger_comparison compare(const std::string& db = "a.db") {
    auto result = store->compare(db);
    INFO((result ? std::string{} : describe(result.error()).message));
    REQUIRE(result);
    return *result;
  }

  // Executes SQL on the file without sluice; empty on success, else SQLite's message.
  std::string meddle(const std::string& sql) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    char* reason = nullptr;
    sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &reason);
    std::string result = reason ? reason : "";
    sqlite3_free(reason);
    sqlite3_close(db);
    return result;
  }

  void tamper(const std::string& sql) {
    REQUIRE(meddle("DROP TRIGGER segments_update; DROP TRIGGER segments_delete; DROP TRIGGER segments_replace;"
                   "DROP TRIGGER stores_update;"
                   + sql)
            == "");
  }
};

} // namespace sluice::sqlite::test
