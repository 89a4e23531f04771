#include "runtime/doctor/disk.hpp"

#include "actors/base/counted.hpp"
#include <array>
#include <fmt/format.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

namespace sluice::doctor {

namespace {

constexpr uint64_t mebibyte = 1ULL << 20;
constexpr uint64_t little = 100 * mebibyte;
constexpr uint64_t few_files = 100;

struct known_file_system {
  uint64_t magic;
  severity how_bad;
  std::string_view name;
  std::string_view reason;
};

constexpr std::string_view remote =
  "WAL needs memory that is shared by all processes, and locks that work; over a network there is neither, and the "
  "database can be damaged";
constexpr std::string_view use_local = "move the store to a local file system (ext4, xfs, btrfs), and reach it from "
                                       "other machines through the broker";

// From linux/magic.h, or from the sources of the file system.
constexpr std::array file_systems{
  known_file_system{0x6969, severity::problem, "NFS", remote},
  known_file_system{0xff534d42, severity::problem, "CIFS", remote},
  known_file_system{0xfe534d42, severity::problem, "SMB2", remote},
  known_file_system{0x517b, severity::problem, "SMB", remote},
  known_file_system{0x01021997, severity::problem, "9p", remote},
  known_file_system{0x5346414f, severity::problem, "AFS", remote},
  known_file_system{0x00c36400, severity::problem, "Ceph", remote},
  known_file_system{
    0x65735546, severity::warning, "FUSE",
    "whether locks and shared memory work there depends on the program behind it; sshfs and most clouds "
    "have neither"},
  known_file_system{0x794c7630, severity::note, "overlayfs",
                    "a container's own layer works, but goes away with the container"},
  known_file_system{0x01021994, severity::note, "tmpfs",
                    "it lies in memory and is gone after a restart of the machine"},
};

} // namespace

finding judge_file_system(uint64_t magic) {
  for (const auto& known : file_systems)
    if (known.magic == (magic & 0xffffffffU))
      return {known.how_bad, "file_system", "store", fmt::format("the store lies on {}: {}", known.name, known.reason),
              std::string{known.how_bad == severity::note ? "put a store that is to stay on a volume of its own"
                                                          : use_local}};
  return {severity::ok, "file_system", "store", "the file system is one that WAL works on"};
}

finding judge_room(const disk_room& room, uint64_t wal_bytes) {
  auto free = fmt::format("{} MiB are free", room.free_bytes / mebibyte);
  if (room.files > 0 && room.free_files < few_files)
    return {severity::problem, "disk_space", "store",
            fmt::format("the file system has room for only {} more; SQLite creates files all the time",
                        counted(room.free_files, "file")),
            "delete files that are not needed, or make more inodes"};
  if (room.free_bytes < little || room.free_bytes < wal_bytes)
    return {severity::problem, "disk_space", "store",
            free + "; writes will soon fail with disk_full"
              + (wal_bytes > room.free_bytes ? ", and the write-ahead log cannot be moved into its database" : ""),
            "make room; nothing that was acknowledged is lost, and writes work again at once"};
  if (room.free_bytes < room.bytes / 20 && room.free_bytes < 20 * little)
    return {severity::warning, "disk_space", "store", free + ", less than a twentieth of the file system",
            "make room before it runs out"};
  if (room.files > 0 && room.free_files < room.files / 100)
    return {
      severity::warning, "disk_space", "store",
      fmt::format("the file system has room for only {} more, less than a hundredth", counted(room.free_files, "file")),
      "delete files that are not needed"};
  return {severity::ok, "disk_space", "store", free};
}

findings check_disk(const std::filesystem::path& folder, uint64_t wal_bytes) {
  struct statfs kind {};
  struct statvfs room {};
  if (statfs(folder.c_str(), &kind) != 0 || statvfs(folder.c_str(), &room) != 0)
    return {{severity::warning, "disk_space", "store", "the state of the file system cannot be read", ""}};
  disk_room space{uint64_t{room.f_blocks} * room.f_frsize, uint64_t{room.f_bavail} * room.f_frsize, room.f_files,
                  room.f_favail};
  return {judge_file_system(static_cast<uint64_t>(kind.f_type)), judge_room(space, wal_bytes)};
}

} // namespace sluice::doctor
