#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace sluice {

/// Keeps the actor system of a broker alive while it is used. Handles of a broker are used from any thread, also after
/// the broker and its system have gone: a caller that needs the system holds a `use` meanwhile, and `close` waits for
/// these. Thread-safe.
class system_access {
public:
  /// Keeps the system alive; false when the system may be gone.
  class use {
  public:
    explicit use(system_access& access) noexcept : access_(access.enter() ? &access : nullptr) {}
    use(const use&) = delete;
    use& operator=(const use&) = delete;
    ~use() {
      if (access_)
        access_->leave();
    }
    explicit operator bool() const noexcept { return access_ != nullptr; }

  private:
    system_access* access_;
  };

  /// From now on no `use` succeeds. Returns once all have ended; not to be called during a use.
  void close() noexcept {
    auto now = state_.fetch_or(closed) | closed;
    for (; now != closed; now = state_.load())
      state_.wait(now);
  }

  bool is_closed() const noexcept { return (state_.load(std::memory_order_relaxed) & closed) != 0; }

private:
  static constexpr uint64_t closed = uint64_t{1} << 63;

  bool enter() noexcept {
    if ((state_.fetch_add(1, std::memory_order_acquire) & closed) == 0)
      return true;
    leave();
    return false;
  }

  void leave() noexcept {
    if (state_.fetch_sub(1, std::memory_order_release) == closed + 1)
      state_.notify_all();
  }

  // The number of uses, and whether there may be more.
  std::atomic<uint64_t> state_{0};
};

} // namespace sluice
