#include "runtime/sqlite/files/wal_cleanup.hpp"

#include <sqlite3.h>

#include <memory>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::sqlite {

namespace {

bool exists(const std::string& file) noexcept { return access(file.c_str(), F_OK) == 0; }

} // namespace

void remove_wal_files(const std::filesystem::path& path) noexcept {
  try {
    const auto& file = path.native();
    if (!exists(file) || (!exists(file + "-wal") && !exists(file + "-shm")))
      return;
    // Not the writer's connection: it would convert the database to WAL mode, and would create a missing file.
    sqlite3* raw = nullptr;
    auto code = sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    std::unique_ptr<sqlite3, decltype(&sqlite3_close_v2)> db{raw, &sqlite3_close_v2};
    if (code != SQLITE_OK)
      return;
    sqlite3_wal_autocheckpoint(raw, 0);
    // Only a connection that has read uses the WAL, and removes its files.
    sqlite3_exec(raw, "PRAGMA schema_version", nullptr, nullptr, nullptr);
  } catch (const std::exception&) {
    // Memory is lacking for a name; the files stay until the next time.
  }
}

void align_modes(const std::filesystem::path& path) {
  constexpr mode_t bits = 0777;
  struct stat database {};
  if (stat(path.c_str(), &database) != 0)
    return;
  for (const auto* suffix : {"-wal", "-shm"}) {
    auto file = path;
    file += suffix;
    struct stat companion {};
    if (lstat(file.c_str(), &companion) == 0 && S_ISREG(companion.st_mode) && companion.st_uid == geteuid()
        && ((companion.st_mode ^ database.st_mode) & bits) != 0)
      chmod(file.c_str(), database.st_mode & bits);
  }
}

} // namespace sluice::sqlite
