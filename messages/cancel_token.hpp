#pragma once

#include <atomic>
#include <memory>

namespace sluice {

/// Lets a caller cancel a request; copies share the flag. Thread-safe. Local to the process.
class cancel_token {
public:
  /// A token that can be cancelled. A default-constructed token cannot, and costs nothing.
  static cancel_token make() {
    cancel_token result;
    result.flag_ = std::make_shared<flag>();
    return result;
  }

  /// A token that is cancelled together with this one or with `other`, and that can also be cancelled alone.
  cancel_token derive(const cancel_token& other = {}) const {
    auto result = make();
    result.flag_->parent = flag_;
    result.flag_->other_parent = other.flag_;
    return result;
  }

  void cancel() const noexcept {
    if (flag_)
      flag_->set.store(true, std::memory_order_relaxed);
  }

  /// Whether this token can be cancelled at all.
  bool possible() const noexcept { return flag_ != nullptr; }

  bool cancelled() const noexcept { return is_set(flag_.get()); }

private:
  struct flag {
    std::atomic<bool> set{false};
    std::shared_ptr<const flag> parent;
    std::shared_ptr<const flag> other_parent;
  };

  static bool is_set(const flag* flag) noexcept {
    for (; flag; flag = flag->parent.get())
      if (flag->set.load(std::memory_order_relaxed) || is_set(flag->other_parent.get()))
        return true;
    return false;
  }

  std::shared_ptr<flag> flag_;
};

} // namespace sluice
