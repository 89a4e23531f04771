#pragma once

#include <unistd.h>
#include <utility>

namespace sluice {

/// Owns a file descriptor; negative means none. Move-only.
class descriptor {
public:
  descriptor() = default;
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(other.release()) {}
  descriptor& operator=(descriptor&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~descriptor() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }

  void reset(int fd = -1) noexcept {
    if (auto old = std::exchange(fd_, fd); old >= 0)
      close(old);
  }

private:
  int fd_ = -1;
};

} // namespace sluice
