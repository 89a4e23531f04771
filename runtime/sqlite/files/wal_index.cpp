#include "runtime/sqlite/files/wal_index.hpp"

#include <sqlite3.h>

#include <arpa/inet.h>
#include <cstddef>
#include <cstring>
#include <functional>

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
// After five read marks and eight lock bytes.
constexpr size_t attempted_at = moved_at + 1 + 5 + 2;
constexpr int checkpoint_lock_at = 1;

sqlite3_file* file_of(sqlite3* db) noexcept {
  sqlite3_file* file = nullptr;
  auto code = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file));
  auto has_index = code == SQLITE_OK && file && file->pMethods && file->pMethods->iVersion >= 2;
  return has_index ? file : nullptr;
}

uint32_t word(const volatile uint32_t* words, size_t i) noexcept { return words[i]; }

// The page size is in the upper half of the word, after two flags; 1 stands for 65,536, which does not fit.
uint32_t page_bytes_of(uint32_t sizes) noexcept {
  std::array<uint16_t, 2> halves{};
  std::memcpy(halves.data(), &sizes, sizeof sizes);
  return halves[1] == 1 ? 65'536 : halves[1];
}

// https://sqlite.org/fileformat.html#the_write_ahead_log
constexpr uint64_t log_header = 32;
constexpr uint64_t frame_header = 24;

using log_reader = std::function<bool(void* to, int amount, uint64_t at)>;

uint32_t number_at(const log_reader& read, uint64_t at) {
  std::array<unsigned char, 4> bytes{};
  if (!read(bytes.data(), static_cast<int>(bytes.size()), at))
    return 0;
  return uint32_t{bytes[0]} << 24U | uint32_t{bytes[1]} << 16U | uint32_t{bytes[2]} << 8U | uint32_t{bytes[3]};
}

std::vector<std::string> headers_in(const log_reader& read, uint64_t frames) {
  std::vector<std::string> result;
  auto page_bytes = number_at(read, 8);
  if (page_bytes == 0)
    return result;
  auto round = number_at(read, 16);
  for (uint64_t i = 0; i < frames; ++i) {
    auto at = log_header + i * (frame_header + page_bytes);
    std::string head(database_header_bytes, '\0');
    // The frames after the last one belong to an earlier round.
    if (number_at(read, at + 8) != round)
      break;
    if (number_at(read, at) == 1 && read(head.data(), static_cast<int>(head.size()), at + frame_header))
      result.push_back(std::move(head));
  }
  return result;
}

} // namespace

std::optional<wal_index> read_wal_index(sqlite3* db) noexcept {
  auto* file = file_of(db);
  volatile void* region = nullptr;
  if (!file || file->pMethods->xShmMap(file, 0, region_bytes, 0, &region) != SQLITE_OK || !region)
    return std::nullopt;
  const auto* words = static_cast<const volatile uint32_t*>(region);
  // A writer changes the second copy first. If both are equal, neither was being changed in between.
  for (auto tries = 0; tries < 100; ++tries) {
    std::array<uint32_t, header_words> first{};
    for (size_t i = 0; i < header_words; ++i)
      first[i] = word(words, i);
    file->pMethods->xShmBarrier(file);
    auto equal = true;
    for (size_t i = 0; i < header_words; ++i)
      equal = equal && word(words, header_words + i) == first[i];
    if (equal && first[flags_at] != 0)
      return wal_index{first[changes_at],
                       first[frames_at],
                       word(words, moved_at),
                       word(words, attempted_at),
                       page_bytes_of(first[flags_at]),
                       {first[salt_at], first[salt_at + 1]}};
  }
  return std::nullopt;
}

// A checkpoint updates the index before it changes the log.
bool is_log_cut_short(sqlite3* db, const std::function<uint64_t()>& log_bytes) noexcept {
  auto index = read_wal_index(db);
  return index && log_bytes() < index->log_bytes() && read_wal_index(db) == index;
}

uint64_t wal_index::log_bytes() const noexcept {
  return frames == 0 ? 0 : log_header + frames * (frame_header + uint64_t{page_bytes});
}

uint64_t wal_index::frames_in(uint64_t bytes) const noexcept {
  return bytes < log_header ? 0 : (bytes - log_header) / (frame_header + page_bytes);
}

// The bytes are in the order of the log.
uint32_t wal_index::round() const noexcept { return ntohl(salt[0]); }

std::vector<std::string> database_headers_in_log(sqlite3* db, uint32_t frames) {
  sqlite3_file* log = nullptr;
  auto code = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&log));
  if (code != SQLITE_OK || !log || !log->pMethods)
    return {};
  auto read = [log](void* to, int amount, uint64_t at) {
    return log->pMethods->xRead(log, to, amount, static_cast<sqlite3_int64>(at)) == SQLITE_OK;
  };
  return headers_in(read, frames);
}

std::optional<log_content> read_log_content(const std::string& log) {
  constexpr uint32_t magic = 0x377f0682;
  auto read = [&](void* to, int amount, uint64_t at) {
    if (at + static_cast<uint64_t>(amount) > log.size())
      return false;
    std::memcpy(to, log.data() + at, static_cast<size_t>(amount));
    return true;
  };
  // The last bit is the byte order of its checksums.
  if ((number_at(read, 0) & ~1U) != magic)
    return std::nullopt;
  return log_content{number_at(read, 16), headers_in(read, log.size() / frame_header)};
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
