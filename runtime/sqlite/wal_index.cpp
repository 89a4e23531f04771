#include "runtime/sqlite/wal_index.hpp"

#include <sqlite3.h>

#include <cstddef>

namespace sluice::sqlite {

namespace {

// The first 32 KiB of the index: two copies of a header of 48 bytes, then the state of checkpoints.
constexpr int region_bytes = 32'768;
constexpr size_t header_words = 12;
constexpr size_t changes_at = 2;
constexpr size_t flags_at = 3;
constexpr size_t frames_at = 4;
constexpr size_t salt_at = 8;
constexpr size_t moved_at = 2 * header_words;
constexpr int checkpoint_lock_at = 1;

sqlite3_file* file_of(sqlite3* db) noexcept {
  sqlite3_file* file = nullptr;
  auto code = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file));
  auto has_index = code == SQLITE_OK && file && file->pMethods && file->pMethods->iVersion >= 2;
  return has_index ? file : nullptr;
}

uint32_t word(const volatile uint32_t* words, size_t i) noexcept { return words[i]; }

} // namespace

std::optional<wal_index> read_wal_index(sqlite3* db) noexcept {
  auto* file = file_of(db);
  volatile void* region = nullptr;
  if (!file || file->pMethods->xShmMap(file, 0, region_bytes, 0, &region) != SQLITE_OK || !region)
    return std::nullopt;
  const auto* words = static_cast<const volatile uint32_t*>(region);
  // A writer changes the second copy first. Equal copies were not being changed in between.
  for (auto tries = 0; tries < 100; ++tries) {
    std::array<uint32_t, header_words> first{};
    for (size_t i = 0; i < header_words; ++i)
      first[i] = word(words, i);
    file->pMethods->xShmBarrier(file);
    auto equal = true;
    for (size_t i = 0; i < header_words; ++i)
      equal = equal && word(words, header_words + i) == first[i];
    if (equal && first[flags_at] != 0)
      return wal_index{first[changes_at], first[frames_at], word(words, moved_at), {first[salt_at], first[salt_at + 1]}};
  }
  return std::nullopt;
}

// https://sqlite.org/fileformat.html#the_write_ahead_log
std::vector<std::string> database_headers_in_log(sqlite3* db, uint32_t frames) {
  constexpr sqlite3_int64 log_header = 32;
  constexpr sqlite3_int64 frame_header = 24;
  std::vector<std::string> result;
  sqlite3_file* log = nullptr;
  auto code = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&log));
  if (code != SQLITE_OK || !log || !log->pMethods)
    return result;
  auto number = [&](sqlite3_int64 at) -> uint32_t {
    std::array<unsigned char, 4> x{};
    log->pMethods->xRead(log, x.data(), static_cast<int>(x.size()), at);
    return uint32_t{x[0]} << 24U | uint32_t{x[1]} << 16U | uint32_t{x[2]} << 8U | uint32_t{x[3]};
  };
  auto step = frame_header + number(8);
  for (uint32_t i = 0; i < frames; ++i) {
    auto at = log_header + i * step;
    std::string head(database_header_bytes, '\0');
    if (number(at) == 1
        && log->pMethods->xRead(log, head.data(), static_cast<int>(head.size()), at + frame_header) == SQLITE_OK)
      result.push_back(std::move(head));
  }
  return result;
}

checkpoint_lock::checkpoint_lock(sqlite3* db) noexcept : db_(db) {
  auto* file = file_of(db);
  held_ =
    file && file->pMethods->xShmLock(file, checkpoint_lock_at, 1, SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE) == SQLITE_OK;
}

checkpoint_lock::~checkpoint_lock() {
  if (!held_)
    return;
  auto* file = file_of(db_);
  file->pMethods->xShmLock(file, checkpoint_lock_at, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
}

} // namespace sluice::sqlite
