#include "runtime/sqlite/files/file_header.hpp"

#include <sqlite3.h>

#include <array>
#include <memory>
#include <string_view>

namespace sluice::sqlite {

namespace {

// The offset of the write version in the header: 1 with a rollback journal, 2 with a WAL.
constexpr size_t write_version_at = 18;
constexpr char wal_version = 2;

} // namespace

bool looks_like_database(const std::filesystem::path& file) noexcept { return journal_of(file) != journal_kind::none; }

journal_kind journal_of(const std::filesystem::path& file) noexcept {
  constexpr std::string_view magic{"SQLite format 3\0", 16};
  // A relative path could be taken for a URI, and SQLite opens folders without complaint.
  std::error_code failed;
  if (!file.is_absolute() || !std::filesystem::is_regular_file(file, failed))
    return journal_kind::none;
  sqlite3* raw = nullptr;
  auto code = sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<sqlite3, decltype(&sqlite3_close_v2)> db{raw, &sqlite3_close_v2};
  sqlite3_file* opened = nullptr;
  if (code != SQLITE_OK || sqlite3_file_control(raw, "main", SQLITE_FCNTL_FILE_POINTER, &opened) != SQLITE_OK
      || opened == nullptr || opened->pMethods == nullptr)
    return journal_kind::none;
  std::array<char, write_version_at + 1> head{};
  switch (opened->pMethods->xRead(opened, head.data(), static_cast<int>(head.size()), 0)) {
  case SQLITE_OK:
    if (std::string_view{head.data(), magic.size()} != magic)
      return journal_kind::none;
    return head[write_version_at] == wal_version ? journal_kind::wal : journal_kind::rollback;
  case SQLITE_IOERR_SHORT_READ:
    return std::filesystem::file_size(file, failed) == 0 && !failed ? journal_kind::undecided : journal_kind::none;
  default: return journal_kind::none;
  }
}

} // namespace sluice::sqlite
