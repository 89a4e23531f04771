#pragma once

#include <cstdint>
#include <utility>

/// SQLite checks interrupts between the instructions of a statement, but not while it prepares one, and a query of a
/// few hundred bytes may then expand into millions of subqueries. These need memory, so a failing allocation can end
/// the preparation.
namespace sluice::sqlite {

/// Enables `allocation_bound`. Call it once, before SQLite is used; later calls have no effect. For a process that is
/// only a broker.
void install_allocation_bound() noexcept;

/// While it lives, SQLite's allocations in this thread fail as soon as `is_due(self)` is true, which is checked every
/// few allocations.
class allocation_bound {
public:
  template <class T, bool (T::*IsDue)() const> static allocation_bound by(const T& owner) noexcept {
    return allocation_bound{[](const void* self) { return (static_cast<const T*>(self)->*IsDue)(); }, &owner};
  }
  allocation_bound(const allocation_bound&) = delete;
  allocation_bound& operator=(const allocation_bound&) = delete;
  ~allocation_bound();

  /// Whether it has made an allocation fail.
  bool is_over() const noexcept { return is_over_; }

  /// Called by the allocator: whether this allocation may succeed.
  bool allows() noexcept;

private:
  allocation_bound(bool (*is_due)(const void*), const void* self) noexcept;

  bool (*is_due_)(const void*);
  const void* self_;
  allocation_bound* outer_;
  uint32_t allocations_ = 0;
  bool is_over_ = false;
};

} // namespace sluice::sqlite
