#include "tests/simulation/memory_disk.hpp"

#include "tests/simulation/disk_directory.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <span>
#include <stdexcept>
#include <utility>

namespace sluice::simulation {

using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

// The first moment of 1970 in SQLite's time, which counts milliseconds from the beginning of the Julian day numbers.
constexpr sqlite3_int64 unix_epoch = 210'866'760'000'000;
constexpr milliseconds year_2000{946'684'800'000};

// The properties of disks on Linux, so that SQLite behaves as it does there.
constexpr int usual_sector_size = 4096;

struct disk_state {
  std::mt19937_64 random;
  std::function<void(microseconds)> sleep;
  std::function<clock::wall()> now;
  sqlite3_vfs* base = nullptr;
  disk_directory names;
  bool power = true;
  uint64_t open_files = 0;
  microseconds slept{0};
};

struct open_file : sqlite3_file {
  disk_state* disk = nullptr;
  disk_directory::file file;
  // Empty for files without a name, which end with their handle.
  std::string path;
  bool goes_when_closed = false;
  bool syncs_folder = false;
  bool has_index = false;
};

open_file& open_file_of(sqlite3_file* file) { return *static_cast<open_file*>(file); }

disk_state& state_of(sqlite3_vfs* vfs) { return *static_cast<disk_state*>(vfs->pAppData); }

std::string index_path(const open_file& file) { return file.path + "-shm"; }

int shm_unmap(sqlite3_file* file, int removes) {
  auto& result = open_file_of(file);
  if (!std::exchange(result.has_index, false))
    return SQLITE_OK;
  result.file->index.leave(&result);
  if (removes != 0 && result.disk->power && result.file->index.unused())
    result.disk->names.hide_index(index_path(result));
  return SQLITE_OK;
}

int close_file(sqlite3_file* file) {
  auto& result = open_file_of(file);
  shm_unmap(file, 0);
  result.file->locks.lower(&result, SQLITE_LOCK_NONE);
  if (result.goes_when_closed && !result.path.empty() && result.disk->power)
    result.disk->names.remove(result.path);
  --result.file->openings;
  --result.disk->open_files;
  result.~open_file();
  return SQLITE_OK;
}

int read(sqlite3_file* file, void* to, int amount, sqlite3_int64 offset) {
  auto& result = open_file_of(file);
  if (!result.disk->power)
    return SQLITE_IOERR_READ;
  std::span bytes{static_cast<uint8_t*>(to), static_cast<size_t>(amount)};
  auto got = result.file->content.read(static_cast<uint64_t>(offset), bytes);
  if (got == bytes.size())
    return SQLITE_OK;
  std::ranges::fill(bytes.subspan(got), uint8_t{0});
  return SQLITE_IOERR_SHORT_READ;
}

int write(sqlite3_file* file, const void* from, int amount, sqlite3_int64 offset) {
  auto& result = open_file_of(file);
  if (!result.disk->power)
    return SQLITE_IOERR_WRITE;
  result.file->content.write(static_cast<uint64_t>(offset),
                             {static_cast<const uint8_t*>(from), static_cast<size_t>(amount)});
  return SQLITE_OK;
}

int truncate(sqlite3_file* file, sqlite3_int64 size) {
  auto& result = open_file_of(file);
  if (!result.disk->power)
    return SQLITE_IOERR_TRUNCATE;
  result.file->content.resize(static_cast<uint64_t>(size));
  return SQLITE_OK;
}

int sync(sqlite3_file* file, int) {
  auto& result = open_file_of(file);
  if (!result.disk->power)
    return SQLITE_IOERR_FSYNC;
  result.file->content.sync();
  result.disk->names.sync(result.path, result.file);
  if (std::exchange(result.syncs_folder, false))
    result.disk->names.sync_folder(result.path);
  return SQLITE_OK;
}

int file_size(sqlite3_file* file, sqlite3_int64* size) {
  auto& result = open_file_of(file);
  *size = static_cast<sqlite3_int64>(result.file->content.size());
  return result.disk->power ? SQLITE_OK : SQLITE_IOERR_FSTAT;
}

int lock(sqlite3_file* file, int level) {
  auto& result = open_file_of(file);
  return result.disk->power ? result.file->locks.raise(&result, level) : SQLITE_IOERR_LOCK;
}

int unlock(sqlite3_file* file, int level) {
  open_file_of(file).file->locks.lower(&open_file_of(file), level);
  return SQLITE_OK;
}

int check_reserved(sqlite3_file* file, int* reserved) {
  auto& result = open_file_of(file);
  *reserved = result.file->locks.reserved() ? 1 : 0;
  return result.disk->power ? SQLITE_OK : SQLITE_IOERR_CHECKRESERVEDLOCK;
}

int control(sqlite3_file* file, int operation, void* argument) {
  auto& result = open_file_of(file);
  switch (operation) {
  case SQLITE_FCNTL_HAS_MOVED:
    *static_cast<int*>(argument) = !result.path.empty() && result.disk->names.find(result.path) != result.file ? 1 : 0;
    return SQLITE_OK;
  case SQLITE_FCNTL_SIZE_HINT: return SQLITE_OK;
  default: return SQLITE_NOTFOUND;
  }
}

int sector_size(sqlite3_file*) { return usual_sector_size; }
int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

int shm_map(sqlite3_file* file, int index, int size, int make, void volatile** to) {
  auto& result = open_file_of(file);
  *to = nullptr;
  if (!result.disk->power)
    return SQLITE_IOERR_SHMMAP;
  if (!std::exchange(result.has_index, true))
    result.disk->names.show_index(index_path(result));
  *to = result.file->index.region(&result, static_cast<size_t>(index), static_cast<size_t>(size), make != 0);
  return SQLITE_OK;
}

int shm_lock(sqlite3_file* file, int offset, int n, int flags) {
  auto& result = open_file_of(file);
  auto mask = ((1U << static_cast<unsigned>(n)) - 1) << static_cast<unsigned>(offset);
  if ((flags & SQLITE_SHM_UNLOCK) != 0) {
    result.file->index.unlock(&result, mask);
    return SQLITE_OK;
  }
  if (!result.disk->power)
    return SQLITE_IOERR_SHMLOCK;
  return result.file->index.lock(&result, mask, (flags & SQLITE_SHM_EXCLUSIVE) != 0);
}

void shm_barrier(sqlite3_file*) {}

const sqlite3_io_methods methods{
  2,          &close_file,     &read,    &write,       &truncate,        &sync,    &file_size, &lock,
  &unlock,    &check_reserved, &control, &sector_size, &characteristics, &shm_map, &shm_lock,  &shm_barrier,
  &shm_unmap, nullptr,         nullptr};

// Opens a file as open(2) does with these flags; null when it would fail.
disk_directory::file find_or_make(disk_state& state, const char* name, int flags) {
  if (!name)
    return std::make_shared<disk_file>();
  auto found = state.names.find(name);
  if (found)
    return (flags & SQLITE_OPEN_EXCLUSIVE) != 0 && (flags & SQLITE_OPEN_CREATE) != 0 ? nullptr : found;
  return (flags & SQLITE_OPEN_CREATE) != 0 ? state.names.make(name) : nullptr;
}

int open_at_path(sqlite3_vfs* vfs, const char* name, sqlite3_file* to, int flags, int* out_flags) {
  to->pMethods = nullptr;
  auto& state = state_of(vfs);
  auto found = state.power ? find_or_make(state, name, flags) : nullptr;
  if (!found)
    return SQLITE_CANTOPEN;
  auto& result = *new (to) open_file;
  result.pMethods = &methods;
  result.disk = &state;
  result.file = std::move(found);
  result.path = name ? name : "";
  result.goes_when_closed = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
  // Syncs the folder with the first sync of a new journal or WAL, as SQLite's VFS for Unix does.
  constexpr auto journals = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;
  result.syncs_folder = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & journals) != 0;
  ++result.file->openings;
  ++state.open_files;
  if (out_flags)
    *out_flags = flags;
  return SQLITE_OK;
}

int remove(sqlite3_vfs* vfs, const char* name, int sync_folder) {
  auto& state = state_of(vfs);
  if (!state.power)
    return SQLITE_IOERR_DELETE;
  if (!state.names.find(name))
    return SQLITE_IOERR_DELETE_NOENT;
  state.names.remove(name);
  if (sync_folder != 0)
    state.names.sync_folder(name);
  return SQLITE_OK;
}

// An empty file counts as missing, as with SQLite's own VFS: it cannot be a hot journal.
int access(sqlite3_vfs* vfs, const char* name, int flags, int* yes) {
  auto& state = state_of(vfs);
  *yes = 0;
  if (!state.power)
    return SQLITE_IOERR_ACCESS;
  auto found = state.names.find(name);
  if (!found || flags != SQLITE_ACCESS_EXISTS)
    return state.base->xAccess(state.base, name, flags, yes);
  *yes = found->content.size() > 0 ? 1 : 0;
  return SQLITE_OK;
}

int full_path(sqlite3_vfs* vfs, const char* name, int size, char* to) {
  auto* base = state_of(vfs).base;
  return base->xFullPathname(base, name, size, to);
}

int randomness(sqlite3_vfs* vfs, int size, char* to) {
  std::generate_n(to, size, [&] { return static_cast<char>(state_of(vfs).random()); });
  return size;
}

int sleep(sqlite3_vfs* vfs, int time) {
  auto& state = state_of(vfs);
  state.slept += microseconds{time};
  state.sleep(microseconds{time});
  return time;
}

int current_time_ms(sqlite3_vfs* vfs, sqlite3_int64* to) {
  auto& state = state_of(vfs);
  auto since = state.now ? std::chrono::floor<milliseconds>(state.now().time_since_epoch())
                         : year_2000 + std::chrono::floor<milliseconds>(state.slept);
  *to = unix_epoch + since.count();
  return SQLITE_OK;
}

int current_time(sqlite3_vfs* vfs, double* to) {
  sqlite3_int64 ms = 0;
  auto code = current_time_ms(vfs, &ms);
  *to = static_cast<double>(ms) / 86'400'000.0;
  return code;
}

int last_error(sqlite3_vfs*, int, char*) { return 0; }

sqlite3_vfs vfs_of(disk_state& state) {
  sqlite3_vfs result{};
  result.iVersion = 2;
  result.szOsFile = sizeof(open_file);
  result.mxPathname = state.base->mxPathname;
  result.zName = "sluice-memory";
  result.pAppData = &state;
  result.xOpen = &open_at_path;
  result.xDelete = &remove;
  result.xAccess = &access;
  result.xFullPathname = &full_path;
  result.xRandomness = &randomness;
  result.xSleep = &sleep;
  result.xCurrentTime = &current_time;
  result.xGetLastError = &last_error;
  result.xCurrentTimeInt64 = &current_time_ms;
  return result;
}

// SQLite's random generator belongs to the process; this seeds it again from the current VFS.
void forget_random_numbers() { sqlite3_randomness(0, nullptr); }

} // namespace

struct memory_disk::impl {
  disk_state state;
  sqlite3_vfs vfs{};

  void start() {
    if (state.open_files != 0)
      throw std::logic_error("a machine is started again with connections open");
    state.power = true;
    forget_random_numbers();
  }
};

memory_disk::memory_disk(uint64_t seed, std::function<void(microseconds)> sleep, std::function<clock::wall()> now)
  : impl_(std::make_unique<impl>()) {
  auto& state = impl_->state;
  state.random.seed(seed);
  state.sleep = std::move(sleep);
  state.now = std::move(now);
  state.base = sqlite3_vfs_find(nullptr);
  if (!state.base)
    throw std::logic_error("SQLite has no VFS");
  impl_->vfs = vfs_of(state);
  sqlite3_vfs_register(&impl_->vfs, 1);
  forget_random_numbers();
}

memory_disk::~memory_disk() {
  sqlite3_vfs_unregister(&impl_->vfs);
  sqlite3_vfs_register(impl_->state.base, 1);
  forget_random_numbers();
}

void memory_disk::cut_power() { impl_->state.power = false; }

bool memory_disk::has_power() const { return impl_->state.power; }

void memory_disk::restart(std::mt19937_64& random) {
  impl_->start();
  impl_->state.names.crash(random);
}

void memory_disk::restart_after_kill() { impl_->start(); }

uint64_t memory_disk::open_files() const { return impl_->state.open_files; }

bool memory_disk::is_open(const std::string& path) const {
  auto found = impl_->state.names.find(path);
  return found && found->openings > 0;
}

uint64_t memory_disk::digest() const { return impl_->state.names.digest(); }

} // namespace sluice::simulation
