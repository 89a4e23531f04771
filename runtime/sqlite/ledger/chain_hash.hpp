#pragma once

#include "runtime/json/hex.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::sqlite {

/// The hash of a list of fields: BLAKE2b-256 over each field after its length, so that no two different lists have the
/// same input. Reuse one object: it keeps its buffer. Used by one thread at a time.
class chain_hash {
public:
  using digest = std::array<unsigned char, 32>;

  /// Initializes libsodium. Throws `std::runtime_error` where the system gives no randomness to start it with.
  chain_hash();

  /// Appends a field of any bytes.
  chain_hash& add(std::string_view bytes);

  /// Appends a number; differs from every text field.
  chain_hash& add(uint64_t number);

  /// The hash of the fields since the last `finish`; later fields begin a new list.
  digest finish();

private:
  std::string buffer_;
};

/// The bytes of `digest` as the database and the next link hold them; valid as long as `digest`.
inline std::string_view bytes_of(const chain_hash::digest& digest) noexcept {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

using sluice::to_hex;

} // namespace sluice::sqlite
