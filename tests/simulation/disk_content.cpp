#include "tests/simulation/disk_content.hpp"

#include <algorithm>

namespace sluice::simulation {

namespace {

void put(std::vector<uint8_t>& bytes, uint64_t offset, std::span<const uint8_t> from) {
  if (bytes.size() < offset + from.size())
    bytes.resize(offset + from.size());
  std::copy(from.begin(), from.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
}

// The share of unsynced writes that a power cut keeps.
enum survival : unsigned { lost, whole, front, some };

} // namespace

size_t disk_content::read(uint64_t offset, std::span<uint8_t> to) const {
  if (offset >= now_.size())
    return 0;
  auto amount = std::min<uint64_t>(to.size(), now_.size() - offset);
  std::copy_n(now_.begin() + static_cast<std::ptrdiff_t>(offset), amount, to.begin());
  return amount;
}

void disk_content::write(uint64_t offset, std::span<const uint8_t> from) {
  put(now_, offset, from);
  unsynced_.push_back({offset, false, {from.begin(), from.end()}});
}

void disk_content::resize(uint64_t size) {
  now_.resize(size);
  unsynced_.push_back({size, true, {}});
}

void disk_content::sync() {
  for (const auto& each : unsynced_) {
    if (each.resizes)
      durable_.resize(each.place);
    else
      put(durable_, each.place, each.bytes);
  }
  unsynced_.clear();
}

void disk_content::survive(const change& change, unsigned fate, std::mt19937_64& random) {
  if (fate == lost)
    return;
  if (change.resizes)
    return durable_.resize(change.place);
  auto end = change.place + change.bytes.size();
  if (fate != whole && durable_.size() < end)
    durable_.resize(end);
  auto first_lost = fate == front ? change.place + random() % (change.bytes.size() + 1) : end;
  for (auto at = change.place; at < end;) {
    auto next = std::min(end, (at / sector + 1) * sector);
    if (fate == whole || (fate == front ? next <= first_lost : random() % 2 == 0))
      put(durable_, at, std::span{change.bytes}.subspan(at - change.place, next - at));
    at = next;
  }
}

void disk_content::crash(std::mt19937_64& random) {
  // Cuts that lose everything and cuts that lose nothing are as likely as all in between.
  auto extent = random() % 4;
  for (const auto& each : unsynced_)
    survive(each, extent == 0 ? lost : extent == 1 ? whole : static_cast<unsigned>(random() % 4), random);
  unsynced_.clear();
  now_ = durable_;
}

} // namespace sluice::simulation
