#include "runtime/doctor/wal_view.hpp"

#include "runtime/doctor/processes.hpp"
#include "runtime/os/descriptor.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>

namespace sluice::doctor {

namespace {

constexpr uint64_t bytes_per_mib = 1ULL << 20;
constexpr uint64_t large_log = 64 * bytes_per_mib;

// The layout of the index, fixed by https://sqlite.org/walformat.html#the_wal_index_file_format: two copies of a header
// of 48 bytes, then the number of moved frames, the marks of five readers, and the lock bytes.
constexpr size_t frames_at = 16;
constexpr size_t is_initialized_at = 12;
constexpr size_t moved_at = 96;
constexpr size_t marks_at = 100;
constexpr size_t reader_slots = 5;
constexpr off_t write_lock_at = 120;
constexpr off_t reader_locks_at = 123;
constexpr size_t index_head = 136;

uint32_t number_at(const std::array<unsigned char, index_head>& bytes, size_t at) {
  uint32_t result = 0;
  std::memcpy(&result, bytes.data() + at, sizeof result);
  return result;
}

// The process that holds a lock on that byte; 0 if there is none.
pid_t holder_of(int fd, off_t byte) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? lock.l_pid : 0;
}

} // namespace

std::optional<wal_view> look_at_wal(const std::filesystem::path& database) {
  std::error_code failed;
  auto bytes = std::filesystem::file_size(database.native() + "-wal", failed);
  if (failed)
    return std::nullopt;
  descriptor index{open((database.native() + "-shm").c_str(), O_RDONLY | O_CLOEXEC)};
  std::array<unsigned char, index_head> head{};
  if (!index || pread(index.get(), head.data(), head.size(), 0) != static_cast<ssize_t>(head.size())
      || head[is_initialized_at] == 0)
    return std::nullopt;
  wal_view view;
  view.file_bytes = bytes;
  view.frames = number_at(head, frames_at);
  view.moved = number_at(head, moved_at);
  view.writer = holder_of(index.get(), write_lock_at);
  for (size_t i = 0; i < reader_slots; ++i)
    if (auto pid = holder_of(index.get(), reader_locks_at + static_cast<off_t>(i)); pid > 0)
      // A reader without frames reads only the database file, and blocks every checkpoint.
      view.readers.push_back({pid, i == 0 ? view.moved : number_at(head, marks_at + 4 * i)});
  return view;
}

finding judge_wal(const std::string& db, const wal_view& view, pid_t leader) {
  auto size = fmt::format("its write-ahead log takes {:.1f} MiB", static_cast<double>(view.file_bytes) / bytes_per_mib);
  auto oldest = std::min_element(view.readers.begin(), view.readers.end(),
                                 [](const auto& a, const auto& b) { return a.up_to < b.up_to; });
  if (oldest != view.readers.end() && oldest->up_to < view.frames) {
    auto is_leader = oldest->pid == leader;
    auto reader = is_leader ? fmt::format("the broker itself (process {})", leader)
                            : fmt::format("process {} ({})", oldest->pid, command_of(oldest->pid));
    auto text =
      fmt::format("{} reads an old snapshot, up to frame {} of {}: what was written since cannot be moved into "
                  "the database; {} and grows with every write",
                  reader, oldest->up_to, view.frames, size);
    return {view.file_bytes >= large_log ? severity::warning : severity::note, "wal", db, std::move(text),
            is_leader ? "wait for the query to end; read_timeout_ms bounds it"
                      : "end its transaction, or the process; a cursor that is not read to its end pins the log, too"};
  }
  if (view.file_bytes >= large_log && leader == 0)
    return {severity::note, "wal", db, size + ", and there is no broker to move it into the database",
            "the next use through sluice moves it"};
  if (view.file_bytes >= large_log)
    return {severity::note, "wal", db, size + "; it shrinks when the database is idle for a moment (idle_after_ms)",
            ""};
  return {severity::ok, "wal", db, size + (view.readers.empty() ? "" : "; no reader holds it back")};
}

} // namespace sluice::doctor
