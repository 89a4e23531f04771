#pragma once

#include "messages/error.hpp"
#include "runtime/store/config.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace sluice {

/// The bytes that the rows of all answers may use together: rows that are being collected, rows on their way to
/// callers, and rows in the cache. Thread-safe.
class answer_budget : public std::enable_shared_from_this<answer_budget> {
public:
  explicit answer_budget(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  /// The share of one answer in the budget; its destructor returns it. Used by one thread at a time, but destroyed by
  /// any.
  class share {
  public:
    share() = default;
    share(share&& other) noexcept : of_(std::move(other.of_)), held_(std::exchange(other.held_, 0)) {}
    share& operator=(share&& other) noexcept {
      std::swap(of_, other.of_);
      std::swap(held_, other.held_);
      return *this;
    }
    ~share() { shrink_to(0); }

    /// Increases the share to at least `bytes`; false, without effect, when the budget is used up. Takes more than
    /// requested, so that the caller may call it for each row.
    bool grow_to(uint64_t bytes) noexcept { return bytes <= held_ || grow(bytes); }

    /// Returns the part beyond `bytes`.
    void shrink_to(uint64_t bytes) noexcept;

  private:
    friend class answer_budget;
    explicit share(std::shared_ptr<answer_budget> of) : of_(std::move(of)) {}

    bool grow(uint64_t bytes) noexcept;

    std::shared_ptr<answer_budget> of_;
    uint64_t held_ = 0;
  };

  /// An empty share.
  share open() { return share{shared_from_this()}; }

  /// The error for a request whose share could not grow: `errc::overloaded`.
  caf::error used_up() const;

  uint64_t max_bytes() const noexcept { return max_bytes_; }
  uint64_t used() const noexcept { return used_.load(std::memory_order_relaxed); }

private:
  const uint64_t max_bytes_;
  std::atomic<uint64_t> used_{0};
};

/// The budget of a broker with this configuration: the bound on the cache plus the bound on answers under way.
std::shared_ptr<answer_budget> make_answer_budget(const broker_config& config);

/// The given budget or, if null, a new one by `config`.
std::shared_ptr<answer_budget> given_or_own(std::shared_ptr<answer_budget> given, const broker_config& config);

} // namespace sluice
