#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace sluice::simulation {

/// The bytes of a file twice: as all connections see them, and as a power cut would leave them.
///
/// After a cut, what was synced is there. Of what was written or cut off since, each piece may be there or not,
/// whatever its order, and a write may be there in part: some of the sectors that it touched, with the file as long as
/// if it were whole. A sector is 512 bytes at a multiple of 512, and its bytes are written together or not at all; what
/// a write does not touch, it does not harm. That is what disks of today promise, and what SQLite relies on by default
/// (SQLITE_IOCAP_POWERSAFE_OVERWRITE). Lengthening a file shows zeros, not old bytes of other files, as some file
/// systems once did.
class disk_content {
public:
  static constexpr uint64_t sector = 512;

  uint64_t size() const noexcept { return now_.size(); }

  /// Copies what there is from `offset` on; returns how many bytes that was.
  size_t read(uint64_t offset, std::span<uint8_t> to) const;

  void write(uint64_t offset, std::span<const uint8_t> from);
  void resize(uint64_t size);
  void sync();

  /// The power was cut: `random` decides.
  void crash(std::mt19937_64& random);

  std::span<const uint8_t> seen() const noexcept { return now_; }
  std::span<const uint8_t> durable() const noexcept { return durable_; }

private:
  struct change {
    // As long as the file is then, or where the bytes go.
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
