#pragma once

#include "runtime/sqlite/buffer/buffer_store.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>
#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace sluice::sqlite::test {

inline buffer_put put(int64_t id, std::string agent = "alice") {
  buffer_put result;
  result.row = {"a.db", "t", {{"id", id}}};
  result.values = {{"v", id * 10}};
  result.agent = std::move(agent);
  return result;
}

inline bool same(const buffer_put& a, const buffer_put& b) {
  return a.row == b.row && a.operation == b.operation && a.values == b.values && a.agent == b.agent
         && a.peer.uid == b.peer.uid && a.peer.pid == b.peer.pid;
}

inline journal_batch batch(std::string key, std::vector<uint64_t> operations) {
  journal_batch result;
  result.request.db = "a.db";
  result.request.idempotency_key = key;
  result.request.statements.push_back({"INSERT INTO t VALUES (?)", {int64_t{1}}});
  result.idempotency_key = std::move(key);
  result.operations = std::move(operations);
  return result;
}

inline rejected_row refused(int64_t id) {
  rejected_row result;
  result.operation = put(id);
  result.message = "CHECK constraint failed";
  result.ts_us = 1'700'000'000'000'000 + id;
  return result;
}

struct buffer_fixture {
  sluice::test::temp_dir dir;
  std::filesystem::path path = dir / "buffer.db";
  std::unique_ptr<buffer_store> store = open_buffer_store(path, synchronous_mode::normal);

  // As after the death of the process: nothing was closed that the next one could rely on.
  void reopen() { store = open_buffer_store(path, synchronous_mode::normal); }

  uint64_t append(std::vector<buffer_put> operations) {
    auto result = store->append(operations);
    INFO((result ? std::string{} : describe(result.error()).message));
    REQUIRE(result);
    return *result;
  }

  journal_content recover() {
    auto result = store->recover();
    INFO((result ? std::string{} : describe(result.error()).message));
    REQUIRE(result);
    return std::move(*result);
  }

  std::vector<uint64_t> pending() {
    std::vector<uint64_t> result;
    for (const auto& operation : recover().operations)
      result.push_back(operation.seq);
    return result;
  }

  std::vector<rejected_row> rejected(uint64_t after = 0, uint64_t limit = 1'000) {
    auto result = store->rejected({after, limit});
    REQUIRE(result);
    return std::move(result->rows);
  }

  std::vector<uint64_t> take(std::vector<uint64_t> ids) {
    auto answer = store->take_rejected(ids);
    REQUIRE(answer);
    std::vector<uint64_t> result;
    for (const auto& row : *answer)
      result.push_back(row.id);
    return result;
  }

  void meddle(const std::string& sql) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    char* reason = nullptr;
    sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &reason);
    INFO((reason ? reason : ""));
    REQUIRE(reason == nullptr);
    sqlite3_close(db);
  }

  // The error of every call for a file that cannot be used.
  errc complaint() {
    std::vector<buffer_put> one{put(1)};
    auto appended = store->append(one);
    REQUIRE_FALSE(appended);
    auto code = code_of(appended.error());
    auto agrees = [&](const auto& each) {
      REQUIRE_FALSE(each);
      CHECK(code_of(each.error()) == code);
    };
    agrees(store->begin_batch(batch("k", {1})));
    agrees(store->end_batch("k"));
    agrees(store->abandon_batch("k"));
    agrees(store->recover());
    agrees(store->reject(std::vector{refused(1)}));
    agrees(store->rejected({}));
    agrees(store->take_rejected({}));
    agrees(store->requeue(std::vector<uint64_t>{1}, one));
    agrees(store->count_rejected());
    return code;
  }
};

} // namespace sluice::sqlite::test
