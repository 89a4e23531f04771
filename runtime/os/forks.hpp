#pragma once

#include "runtime/os/descriptor.hpp"

#include <cstdint>

namespace sluice {

/// The number of forks between the start of the program and this process. Objects that a parent opened at another count
/// work only in the parent, since a forked child has none of its threads. One load. Thread-safe.
uint64_t fork_count() noexcept;

/// Owns a file descriptor that forked children do not keep, because a lock is held through it: a child closes its copy
/// at once. Child processes that execute a program (`posix_spawn`, or `exec`) are not affected. Move-only.
class unshared_descriptor {
public:
  unshared_descriptor() = default;
  explicit unshared_descriptor(descriptor file);
  unshared_descriptor(unshared_descriptor&& other) noexcept;
  unshared_descriptor& operator=(unshared_descriptor&& other) noexcept;
  ~unshared_descriptor() { reset(); }

  /// Negative if there is none.
  int get() const noexcept { return forks_ == fork_count() ? file_.get() : -1; }
  explicit operator bool() const noexcept { return get() >= 0; }
  void reset() noexcept;

private:
  descriptor file_;
  uint64_t forks_ = 0;
};

} // namespace sluice
