#include "runtime/sqlite/core/allocation_bound.hpp"

#include <sqlite3.h>

namespace sluice::sqlite {

namespace {

constexpr uint32_t allocations_per_check = 64;

thread_local allocation_bound* current = nullptr;
sqlite3_mem_methods plain{};

bool may_allocate() noexcept { return !current || current->allows(); }

void* allocate(int bytes) { return may_allocate() ? plain.xMalloc(bytes) : nullptr; }

void* reallocate(void* at, int bytes) { return may_allocate() ? plain.xRealloc(at, bytes) : nullptr; }

} // namespace

void install_allocation_bound() noexcept {
  if (plain.xMalloc || sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain) != SQLITE_OK)
    return;
  auto bounded = plain;
  bounded.xMalloc = allocate;
  bounded.xRealloc = reallocate;
  sqlite3_config(SQLITE_CONFIG_MALLOC, &bounded);
}

allocation_bound::allocation_bound(bool (*is_due)(const void*), const void* self) noexcept
  : is_due_(is_due), self_(self), outer_(current) {
  current = this;
}

allocation_bound::~allocation_bound() { current = outer_; }

bool allocation_bound::allows() noexcept {
  if (!is_over_ && ++allocations_ % allocations_per_check == 0)
    is_over_ = is_due_(self_);
  return !is_over_;
}

} // namespace sluice::sqlite
