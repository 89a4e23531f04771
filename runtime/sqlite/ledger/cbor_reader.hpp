#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::sqlite {

/// Reads the integers, bytes, texts and arrays that `cbor_writer` writes, without copying. Anything else makes it fail
/// permanently: from then on every item is 0 or empty.
class cbor_reader {
public:
  /// `bytes` outlive the reader and the texts that it returns.
  explicit cbor_reader(std::string_view bytes) noexcept : left_(bytes) {}

  /// Whether all bytes were read.
  bool at_end() const noexcept { return left_.empty(); }
  bool has_failed() const noexcept { return has_failed_; }

  int64_t integer() noexcept {
    auto [major, number] = head();
    if (major > 1 || number > static_cast<uint64_t>(INT64_MAX))
      return fail();
    return major == 0 ? static_cast<int64_t>(number) : ~static_cast<int64_t>(number);
  }

  std::string_view bytes() noexcept { return run(2); }
  std::string_view text() noexcept { return run(3); }

  /// The number of items that follow.
  uint64_t array() noexcept {
    auto [major, count] = head();
    return major == 4 ? count : static_cast<uint64_t>(fail());
  }

private:
  struct item_head {
    unsigned major;
    uint64_t number;
  };

  item_head head() noexcept {
    if (left_.empty()) {
      fail();
      return {0, 0};
    }
    unsigned first = static_cast<unsigned char>(left_.front());
    left_.remove_prefix(1);
    auto major = first >> 5U;
    auto number = first & 31U;
    if (number < 24)
      return {major, number};
    auto size = size_t{1} << (number - 24U);
    if (number > 27 || size > left_.size()) {
      fail();
      return {0, 0};
    }
    uint64_t result = 0;
    for (size_t i = 0; i < size; ++i)
      result = result << 8U | static_cast<unsigned char>(left_[i]);
    left_.remove_prefix(size);
    return {major, result};
  }

  std::string_view run(unsigned wanted) noexcept {
    auto [major, size] = head();
    if (major != wanted || size > left_.size()) {
      fail();
      return {};
    }
    auto result = left_.substr(0, size);
    left_.remove_prefix(size);
    return result;
  }

  int64_t fail() noexcept {
    has_failed_ = true;
    left_ = {};
    return 0;
  }

  std::string_view left_;
  bool has_failed_ = false;
};

} // namespace sluice::sqlite
