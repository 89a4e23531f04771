#pragma once

#include "runtime/sqlite/faults/fault_vfs.hpp"
#include "tests/simulation/memory_disk.hpp"
#include "tests/support/temp_dir.hpp"

#include <chrono>
#include <filesystem>
#include <optional>
#include <random>
#include <sqlite3.h>
#include <string>

namespace sluice::test::memory_machine {

/// A connection of plain SQLite on the disk in memory.
class plain {
public:
  explicit plain(const std::filesystem::path& file) {
    opened_ = sqlite3_open_v2(file.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr) == SQLITE_OK;
  }
  plain(const plain&) = delete;
  plain& operator=(const plain&) = delete;
  ~plain() { sqlite3_close(db_); }

  bool run(const std::string& sql) {
    return opened_ && (code_ = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr)) == SQLITE_OK;
  }

  /// The first column of the first row; nothing when there is an error.
  std::optional<std::string> text(const std::string& sql) {
    sqlite3_stmt* stmt = nullptr;
    std::optional<std::string> result;
    code_ = opened_ ? sqlite3_prepare_v2(db_, sql.c_str(), -1, &stmt, nullptr) : SQLITE_CANTOPEN;
    if (code_ == SQLITE_OK && (code_ = sqlite3_step(stmt)) == SQLITE_ROW)
      result = reinterpret_cast<const char*>(sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    return result;
  }

  std::optional<int> number(const std::string& sql) {
    auto found = text(sql);
    return found ? std::optional{std::stoi(*found)} : std::nullopt;
  }

  int code() const { return code_; }

  bool file(sqlite3_file*& to) {
    return sqlite3_file_control(db_, "main", SQLITE_FCNTL_FILE_POINTER, &to) == SQLITE_OK;
  }

private:
  sqlite3* db_ = nullptr;
  bool opened_ = false;
  int code_ = SQLITE_OK;
};

/// A machine with a disk in memory that can fail, and a folder on it.
struct machine {
  explicit machine(uint64_t seed) : disk(seed, [](std::chrono::microseconds) {}), random(seed) {}

  std::filesystem::path file() const { return folder / "app.db"; }

  temp_dir folder;
  simulation::memory_disk disk;
  sqlite::fault_vfs faults{{[](std::chrono::milliseconds) {}, [this] { disk.cut_power(); }}};
  std::mt19937_64 random;
};

} // namespace sluice::test::memory_machine
