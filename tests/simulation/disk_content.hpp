#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace sluice::simulation {

/// The bytes of a file twice: as all connections see them, and as a power cut would leave them.
///
/// After a cut, all synced bytes are there. Of later writes and truncations, each may be there or not, in any order,
/// and a write may be there in part: some of the sectors that it touched, with the file as long as if it were whole. A
/// sector is 512 bytes at a multiple of 512, and its bytes are written together or not at all; a write does not damage
/// bytes that it does not touch. Today's disks guarantee this, and SQLite relies on it by default
/// (SQLITE_IOCAP_POWERSAFE_OVERWRITE). Lengthening a file shows zeros, not old bytes of other files, as some file
/// systems once did.
class disk_content {
public:
  static constexpr uint64_t sector = 512;

  uint64_t size() const noexcept { return now_.size(); }

  /// Copies the bytes from `offset` on; returns their number.
  size_t read(uint64_t offset, std::span<uint8_t> to) const;

  void write(uint64_t offset, std::span<const uint8_t> from);
  void resize(uint64_t size);
  void sync();

  /// Applies a power cut; `random` decides its effect.
  void crash(std::mt19937_64& random);

  std::span<const uint8_t> seen() const noexcept { return now_; }
  std::span<const uint8_t> durable() const noexcept { return durable_; }

private:
  struct change {
    // The length of the file after a truncation, or the offset of a write.
    uint64_t place = 0;
    bool resizes = false;
    std::vector<uint8_t> bytes;
  };

  void survive(const change& change, unsigned fate, std::mt19937_64& random);

  std::vector<uint8_t> now_;
  std::vector<uint8_t> durable_;
  std::vector<change> unsynced_;
};

} // namespace sluice::simulation
