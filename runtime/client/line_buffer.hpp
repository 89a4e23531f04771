#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace sluice {

/// Received bytes, returned line by line. Not synchronized.
class line_buffer {
public:
  /// The space for the next bytes; never empty. Invalidates lines returned before.
  std::span<char> room() {
    if (begin_ == end_ && capacity_ > kept_bytes)
      *this = line_buffer{};
    if (begin_ > 0 && (begin_ == end_ || capacity_ - end_ < least_room)) {
      std::memmove(bytes_.get(), bytes_.get() + begin_, end_ - begin_);
      searched_ -= begin_;
      end_ -= begin_;
      begin_ = 0;
    }
    if (capacity_ - end_ < least_room)
      grow();
    return {bytes_.get() + end_, capacity_ - end_};
  }

  /// This many bytes were written into `room`.
  void filled(size_t count) { end_ += count; }

  /// The next whole line, without its end.
  std::optional<std::string_view> next() {
    const auto* found = std::memchr(bytes_.get() + searched_, '\n', end_ - searched_);
    if (!found) {
      searched_ = end_;
      return std::nullopt;
    }
    auto at = static_cast<size_t>(static_cast<const char*>(found) - bytes_.get());
    std::string_view line{bytes_.get() + begin_, at - begin_};
    begin_ = searched_ = at + 1;
    return line;
  }

  /// Bytes of the line that has no end yet.
  size_t pending() const noexcept { return end_ - begin_; }

private:
  static constexpr size_t least_room = size_t{4} << 10;
  static constexpr size_t kept_bytes = size_t{1} << 20;

  void grow() {
    auto capacity = 2 * capacity_;
    auto bytes = std::make_unique_for_overwrite<char[]>(capacity);
    std::memcpy(bytes.get(), bytes_.get(), end_);
    bytes_ = std::move(bytes);
    capacity_ = capacity;
  }

  size_t capacity_ = size_t{16} << 10;
  std::unique_ptr<char[]> bytes_ = std::make_unique_for_overwrite<char[]>(capacity_);
  size_t begin_ = 0;
  size_t searched_ = 0;
  size_t end_ = 0;
};

} // namespace sluice
