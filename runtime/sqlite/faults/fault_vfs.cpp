#include "runtime/sqlite/faults/fault_vfs.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <new>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <unistd.h>

namespace sluice::sqlite {

namespace {

// The code of an operation that was interrupted; SQLite's code identifies the operation.
int broken(disk_operation on) noexcept {
  switch (on) {
  case disk_operation::open: return SQLITE_CANTOPEN;
  case disk_operation::read: return SQLITE_IOERR_READ;
  case disk_operation::write: return SQLITE_IOERR_WRITE;
  case disk_operation::sync: return SQLITE_IOERR_FSYNC;
  case disk_operation::truncate: return SQLITE_IOERR_TRUNCATE;
  case disk_operation::remove: return SQLITE_IOERR_DELETE;
  case disk_operation::lock: return SQLITE_IOERR_LOCK;
  }
  return SQLITE_IOERR;
}

int refused(disk_operation on, disk_effect effect) noexcept {
  // The operating system's own VFS does not report why a file could not be created either.
  auto needs_room = on == disk_operation::write || on == disk_operation::truncate;
  if (effect == disk_effect::full && needs_room)
    return SQLITE_FULL;
  return effect == disk_effect::busy && on == disk_operation::lock ? SQLITE_BUSY : broken(on);
}

// The state that all files and the VFS share; C callbacks reach it through a pointer.
struct disk {
  fault_hooks hooks;
  fault_rules rules;
  sqlite3_vfs* base = nullptr;

  // Runs `operation` unless a rule makes it fail.
  template <class Operation> int run_with_faults(std::string_view path, disk_operation on, Operation operation) {
    auto verdict = rules.judge(path, on);
    if (verdict.delay.count() > 0)
      hooks.sleep(verdict.delay);
    if (!verdict.effect)
      return operation();
    if (*verdict.effect == disk_effect::kill_after)
      static_cast<void>(operation());
    if (*verdict.effect == disk_effect::kill_after || *verdict.effect == disk_effect::kill_before) {
      hooks.kill();
      return broken(on);
    }
    return refused(on, *verdict.effect);
  }
};

// Our part of an open file; the file of the underlying VFS follows it in the memory that SQLite provides.
struct fault_file : sqlite3_file {
  disk* on = nullptr;
  // SQLite keeps the name for as long as the file is open.
  const char* name = nullptr;

  std::string_view path() const noexcept { return name ? name : std::string_view{}; }
};

constexpr auto file_size =
  (sizeof(fault_file) + alignof(std::max_align_t) - 1) / alignof(std::max_align_t) * alignof(std::max_align_t);

fault_file& ours(sqlite3_file* file) noexcept { return *static_cast<fault_file*>(file); }

sqlite3_file* behind(sqlite3_file* file) noexcept {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<std::byte*>(file) + file_size);
}

template <class Operation> int run_with_faults(sqlite3_file* file, disk_operation on, Operation operation) {
  return ours(file).on->run_with_faults(ours(file).path(), on, [&] { return operation(behind(file)); });
}

// Passes a call on unchanged.
template <auto Method, class... Xs> int pass(sqlite3_file* file, Xs... xs) {
  return (behind(file)->pMethods->*Method)(behind(file), xs...);
}

using methods = sqlite3_io_methods;

int read(sqlite3_file* file, void* to, int amount, sqlite3_int64 offset) {
  return run_with_faults(file, disk_operation::read,
                         [&](sqlite3_file* next) { return next->pMethods->xRead(next, to, amount, offset); });
}

int write(sqlite3_file* file, const void* from, int amount, sqlite3_int64 offset) {
  return run_with_faults(file, disk_operation::write, [&](sqlite3_file* next) {
    auto& rules = ours(file).on->rules;
    if (rules.is_bounded()) {
      sqlite3_int64 size = 0;
      if (auto code = next->pMethods->xFileSize(next, &size); code != SQLITE_OK)
        return code;
      if (!rules.take_room(static_cast<uint64_t>(std::max<sqlite3_int64>(0, offset + amount - size))))
        return SQLITE_FULL;
    }
    return next->pMethods->xWrite(next, from, amount, offset);
  });
}

int truncate(sqlite3_file* file, sqlite3_int64 size) {
  return run_with_faults(file, disk_operation::truncate,
                         [&](sqlite3_file* next) { return next->pMethods->xTruncate(next, size); });
}

int sync(sqlite3_file* file, int flags) {
  return run_with_faults(file, disk_operation::sync,
                         [&](sqlite3_file* next) { return next->pMethods->xSync(next, flags); });
}

int lock(sqlite3_file* file, int level) {
  return run_with_faults(file, disk_operation::lock,
                         [&](sqlite3_file* next) { return next->pMethods->xLock(next, level); });
}

int shm_lock(sqlite3_file* file, int offset, int n, int flags) {
  auto* next = behind(file);
  if ((flags & SQLITE_SHM_LOCK) == 0)
    return next->pMethods->xShmLock(next, offset, n, flags);
  auto code = run_with_faults(file, disk_operation::lock,
                              [&](sqlite3_file*) { return next->pMethods->xShmLock(next, offset, n, flags); });
  return code == SQLITE_IOERR_LOCK ? SQLITE_IOERR_SHMLOCK : code;
}

void shm_barrier(sqlite3_file* file) { behind(file)->pMethods->xShmBarrier(behind(file)); }

// SQLite derives the abilities of a file from the version, and from the presence of shared memory.
methods methods_of(int version) noexcept {
  methods result{};
  result.iVersion = version;
  result.xClose = &pass<&methods::xClose>;
  result.xRead = &read;
  result.xWrite = &write;
  result.xTruncate = &truncate;
  result.xSync = &sync;
  result.xFileSize = &pass<&methods::xFileSize, sqlite3_int64*>;
  result.xLock = &lock;
  result.xUnlock = &pass<&methods::xUnlock, int>;
  result.xCheckReservedLock = &pass<&methods::xCheckReservedLock, int*>;
  result.xFileControl = &pass<&methods::xFileControl, int, void*>;
  result.xSectorSize = &pass<&methods::xSectorSize>;
  result.xDeviceCharacteristics = &pass<&methods::xDeviceCharacteristics>;
  if (version >= 2) {
    result.xShmMap = &pass<&methods::xShmMap, int, int, int, void volatile**>;
    result.xShmLock = &shm_lock;
    result.xShmBarrier = &shm_barrier;
    result.xShmUnmap = &pass<&methods::xShmUnmap, int>;
  }
  if (version >= 3) {
    result.xFetch = &pass<&methods::xFetch, sqlite3_int64, int, void**>;
    result.xUnfetch = &pass<&methods::xUnfetch, sqlite3_int64, void*>;
  }
  return result;
}

const methods* like(const methods& next) noexcept {
  static const methods plain = methods_of(1);
  static const methods shared = methods_of(2);
  static const methods mapped = methods_of(3);
  if (next.iVersion < 2 || !next.xShmMap)
    return &plain;
  return next.iVersion < 3 || !next.xFetch ? &shared : &mapped;
}

disk& disk_of(sqlite3_vfs* vfs) noexcept { return *static_cast<disk*>(vfs->pAppData); }

int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto& opened = *new (file) fault_file;
  opened.pMethods = nullptr;
  opened.on = &disk_of(vfs);
  opened.name = name;
  auto* base = opened.on->base;
  auto* next = behind(file);
  next->pMethods = nullptr;
  auto code = opened.on->run_with_faults(opened.path(), disk_operation::open,
                                         [&] { return base->xOpen(base, name, next, flags, out_flags); });
  // If methods are set, SQLite closes a file even if it could not be opened.
  opened.pMethods = next->pMethods ? like(*next->pMethods) : nullptr;
  return code;
}

int remove(sqlite3_vfs* vfs, const char* name, int sync_folder) {
  auto& on = disk_of(vfs);
  return on.run_with_faults(name, disk_operation::remove, [&] { return on.base->xDelete(on.base, name, sync_folder); });
}

template <auto Method, class Result, class... Xs> Result pass_vfs(sqlite3_vfs* vfs, Xs... xs) {
  auto* base = disk_of(vfs).base;
  return (base->*Method)(base, xs...);
}

using symbol = void (*)();

symbol find_symbol(sqlite3_vfs* vfs, void* library, const char* name) {
  auto* base = disk_of(vfs).base;
  return base->xDlSym(base, library, name);
}

sqlite3_vfs in_front_of(sqlite3_vfs& base, disk& state) noexcept {
  using vfs = sqlite3_vfs;
  vfs result{};
  result.iVersion = std::min(base.iVersion, 3);
  result.szOsFile = static_cast<int>(file_size) + base.szOsFile;
  result.mxPathname = base.mxPathname;
  result.zName = "sluice-fault";
  result.pAppData = &state;
  result.xOpen = &open;
  result.xDelete = &remove;
  result.xAccess = &pass_vfs<&vfs::xAccess, int, const char*, int, int*>;
  result.xFullPathname = &pass_vfs<&vfs::xFullPathname, int, const char*, int, char*>;
  result.xDlOpen = &pass_vfs<&vfs::xDlOpen, void*, const char*>;
  result.xDlError = &pass_vfs<&vfs::xDlError, void, int, char*>;
  result.xDlSym = &find_symbol;
  result.xDlClose = &pass_vfs<&vfs::xDlClose, void, void*>;
  result.xRandomness = &pass_vfs<&vfs::xRandomness, int, int, char*>;
  result.xSleep = &pass_vfs<&vfs::xSleep, int, int>;
  result.xCurrentTime = &pass_vfs<&vfs::xCurrentTime, int, double*>;
  result.xGetLastError = &pass_vfs<&vfs::xGetLastError, int, int, char*>;
  if (base.iVersion >= 2 && base.xCurrentTimeInt64)
    result.xCurrentTimeInt64 = &pass_vfs<&vfs::xCurrentTimeInt64, int, sqlite3_int64*>;
  if (base.iVersion >= 3 && base.xSetSystemCall) {
    result.xSetSystemCall = &pass_vfs<&vfs::xSetSystemCall, int, const char*, sqlite3_syscall_ptr>;
    result.xGetSystemCall = &pass_vfs<&vfs::xGetSystemCall, sqlite3_syscall_ptr, const char*>;
    result.xNextSystemCall = &pass_vfs<&vfs::xNextSystemCall, const char*, const char*>;
  }
  return result;
}

std::atomic<bool> there_is_one{false};

} // namespace

struct fault_vfs::impl {
  disk state;
  sqlite3_vfs vfs{};
};

fault_hooks real_faults() {
  return {[](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }, [] { ::kill(getpid(), SIGKILL); }};
}

fault_vfs::fault_vfs(fault_hooks hooks) : impl_(std::make_unique<impl>()) {
  auto* base = sqlite3_vfs_find(nullptr);
  if (!base || there_is_one.exchange(true))
    throw std::logic_error("there is one fault_vfs in this process already, or no VFS to stand in front of");
  impl_->state.hooks = std::move(hooks);
  impl_->state.base = base;
  impl_->vfs = in_front_of(*base, impl_->state);
  sqlite3_vfs_register(&impl_->vfs, 1);
}

fault_vfs::~fault_vfs() {
  sqlite3_vfs_unregister(&impl_->vfs);
  sqlite3_vfs_register(impl_->state.base, 1);
  there_is_one = false;
}

void fault_vfs::inject(disk_fault fault) { impl_->state.rules.inject(std::move(fault)); }

void fault_vfs::set_room(std::optional<uint64_t> bytes) { impl_->state.rules.set_room(bytes); }

void fault_vfs::heal() { impl_->state.rules.heal(); }

uint64_t fault_vfs::count(const std::string& file, disk_operation on) const {
  return impl_->state.rules.count(file, on);
}

} // namespace sluice::sqlite
