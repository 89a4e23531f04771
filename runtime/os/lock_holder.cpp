#include "runtime/os/lock_holder.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice {

namespace {

namespace fs = std::filesystem;

// The bytes that SQLite locks, fixed by its file formats: in a database those that begin with the pending byte, in the
// index of a WAL (-shm) the one for writers and the one for recovery.
constexpr uint64_t pending_byte = 0x4000'0000;
constexpr uint64_t last_shared_byte = pending_byte + 511;
constexpr uint64_t wal_write_byte = 120;
constexpr uint64_t wal_recover_byte = 122;

uint64_t lock_number(const std::string& text) {
  uint64_t result = std::numeric_limits<uint64_t>::max();
  // "EOF" is not parsed: the result stays the maximum.
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

bool overlaps(const file_lock& lock, uint64_t first, uint64_t last) noexcept {
  return lock.first <= last && first <= lock.last;
}

std::string content_of_proc(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// Compares the device as well as the inode: inode numbers repeat on other file systems, and /proc/locks shows other
// device numbers than stat.
bool has_open(pid_t pid, const struct stat& file) {
  std::error_code hidden;
  auto descriptors = fs::path{"/proc"} / std::to_string(pid) / "fd";
  for (const auto& entry : fs::directory_iterator{descriptors, hidden})
    if (struct stat status{};
        stat(entry.path().c_str(), &status) == 0 && status.st_dev == file.st_dev && status.st_ino == file.st_ino)
      return true;
  // Files of another user's process cannot be read.
  return static_cast<bool>(hidden);
}

std::string process_name(pid_t pid) {
  auto text = content_of_proc(fs::path{"/proc"} / std::to_string(pid) / "comm");
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  std::replace_if(
    text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; }, '?');
  return "process " + std::to_string(pid) + (text.empty() ? "" : " (" + text + ")");
}

class lock_search {
public:
  explicit lock_search(std::string listing) : listing_(std::move(listing)) {}

  // The first process that holds such a lock on the file.
  std::optional<std::string> find(const fs::path& file, uint64_t first, uint64_t last, bool any) const {
    struct stat info {};
    if (stat(file.c_str(), &info) != 0)
      return std::nullopt;
    for (const auto& lock : locks_in(listing_, info.st_ino))
      if (lock.pid != getpid() && (any || lock.excludes) && overlaps(lock, first, last) && has_open(lock.pid, info))
        return process_name(lock.pid);
    return std::nullopt;
  }

private:
  std::string listing_;
};

} // namespace

std::vector<file_lock> locks_in(std::string_view listing, ino_t inode) {
  std::vector<file_lock> result;
  std::istringstream lines{std::string{listing}};
  for (std::string line; std::getline(lines, line);) {
    // For example: 1: POSIX  ADVISORY  WRITE 4711 08:01:1234567 1073741824 1073742335
    std::istringstream words{line};
    std::string place, kind, way, mode, pid, file, first, last;
    if (!(words >> place >> kind >> way >> mode >> pid >> file >> first >> last) || kind != "POSIX")
      continue;
    auto colon = file.rfind(':');
    if (colon == std::string::npos || lock_number(file.substr(colon + 1)) != inode || lock_number(pid) > 0x7fff'ffff)
      continue;
    auto holder = static_cast<pid_t>(lock_number(pid));
    if (holder > 0)
      result.push_back({holder, mode == "WRITE", lock_number(first), lock_number(last)});
  }
  return result;
}

std::optional<std::string> find_lock_holder(const fs::path& path) {
  lock_search locks{content_of_proc("/proc/locks")};
  fs::path index{path.native() + "-shm"};
  // With a WAL, every connection has a shared lock on the database, which blocks no other; a shared lock on the index's
  // byte for writers blocks writers.
  if (auto found = locks.find(index, wal_write_byte, wal_recover_byte, true))
    return found;
  if (auto found = locks.find(path, pending_byte, last_shared_byte, false))
    return found;
  struct stat none {};
  return stat(index.c_str(), &none) == 0 ? std::nullopt : locks.find(path, pending_byte, last_shared_byte, true);
}

} // namespace sluice
