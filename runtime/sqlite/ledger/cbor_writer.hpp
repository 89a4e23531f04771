#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::sqlite {

/// Appends CBOR (RFC 8949) items to a string. Definite lengths only; reals always as doubles, bit for bit.
class cbor_writer {
public:
  explicit cbor_writer(std::string& out) : out_(out) {}

  void integer(int64_t number) {
    if (number >= 0)
      head(0, static_cast<uint64_t>(number));
    else
      head(1, ~static_cast<uint64_t>(number));
  }

  void bytes(std::string_view content) { run(2, content); }
  void text(std::string_view content) { run(3, content); }
  /// The next `count` items are the array's.
  void array(uint64_t count) { head(4, count); }
  void null() { out_.push_back(static_cast<char>(0xf6)); }

  void real(double number) {
    out_.push_back(static_cast<char>(0xfb));
    big_endian(std::bit_cast<uint64_t>(number), 8);
  }

private:
  void run(uint8_t major, std::string_view content) {
    head(major, content.size());
    out_.append(content);
  }

  void head(uint8_t major, uint64_t n) {
    auto first = static_cast<unsigned>(major) << 5U;
    if (n < 24)
      return out_.push_back(static_cast<char>(first | n));
    auto size = n <= 0xff ? 0U : n <= 0xffff ? 1U : n <= 0xffffffff ? 2U : 3U;
    out_.push_back(static_cast<char>(first | (24U + size)));
    big_endian(n, 1U << size);
  }

  void big_endian(uint64_t n, unsigned size) {
    while (size-- > 0)
      out_.push_back(static_cast<char>(n >> (8U * size)));
  }

  std::string& out_;
};

} // namespace sluice::sqlite
