#pragma once

#include <cstdint>
#include <utility>

/// SQLite checks interrupts between the instructions of a statement, but not while it prepares one, and a query of a
/// few hundred bytes may then expand into millions of subqueries. It needs memory for them, so allocations can end it.
namespace sluice::sqlite {

/// From now on, `allocation_bound` has an effect. Once, before SQLite is used; does nothing after that. For a process
/// that is a broker and nothing else.
void install_allocation_bound() noexcept;

/// As long as it lives, allocations of SQLite in this thread fail from the moment on at which `is_due(self)` is found
/// to be true. That is asked for every few of them.
class allocation_bound {
public:
  template <class T, bool (T::*IsDue)() const> static allocation_bound by(const T& owner) noexcept {
    return allocation_bound{[](const void* self) { return (static_cast<const T*>(self)->*IsDue)(); }, &owner};
  }
  allocation_bound(const allocation_bound&) = delete;
  allocation_bound& operator=(const allocation_bound&) = delete;
  ~allocation_bound();

  /// Whether an allocation has failed on its account.
  bool is_over() const noexcept { return is_over_; }

  /// For the allocator: whether this one may be made.
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
