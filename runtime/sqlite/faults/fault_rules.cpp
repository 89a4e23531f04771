#include "runtime/sqlite/faults/fault_rules.hpp"

#include <utility>

namespace sluice::sqlite {

void fault_rules::inject(disk_fault fault) {
  std::lock_guard guard{mutex_};
  faults_.push_back({std::move(fault)});
}

void fault_rules::set_room(std::optional<uint64_t> bytes) {
  std::lock_guard guard{mutex_};
  room_ = bytes;
}

bool fault_rules::is_bounded() const {
  std::lock_guard guard{mutex_};
  return room_.has_value();
}

bool fault_rules::take_room(uint64_t bytes) {
  std::lock_guard guard{mutex_};
  if (!room_)
    return true;
  if (*room_ < bytes)
    return false;
  *room_ -= bytes;
  return true;
}

void fault_rules::heal() {
  std::lock_guard guard{mutex_};
  faults_.clear();
  room_.reset();
}

disk_verdict fault_rules::judge(std::string_view path, disk_operation on) {
  std::lock_guard guard{mutex_};
  auto counts = counts_.find(path);
  if (counts == counts_.end())
    counts = counts_.try_emplace(std::string{path}).first;
  ++counts->second[static_cast<size_t>(on)];
  disk_verdict result;
  for (auto& fault : faults_) {
    if (fault.rule.on != on || !path.ends_with(fault.rule.file))
      continue;
    if (fault.passed < fault.rule.skip) {
      ++fault.passed;
      continue;
    }
    if (fault.rule.times != 0 && fault.hits == fault.rule.times)
      continue;
    ++fault.hits;
    if (fault.rule.effect != disk_effect::delay) {
      result.effect = fault.rule.effect;
      break;
    }
    result.delay += fault.rule.delay;
  }
  return result;
}

uint64_t fault_rules::count(std::string_view file, disk_operation on) const {
  std::lock_guard guard{mutex_};
  uint64_t result = 0;
  for (const auto& [path, counts] : counts_)
    if (path.ends_with(file))
      result += counts[static_cast<size_t>(on)];
  return result;
}

} // namespace sluice::sqlite
