#include "runtime/sqlite/ledger/chain_hash.hpp"

#include <sodium.h>

#include <stdexcept>

namespace sluice::sqlite {

namespace {

// A tag distinguishes a number from the length of a text.
constexpr char text_tag = 't';
constexpr char number_tag = 'n';

void put(std::string& to, char tag, uint64_t number) {
  char bytes[9] = {tag};
  // Always little-endian, so that a file may be moved between machines.
  for (auto i = 1; i < 9; ++i, number >>= 8)
    bytes[i] = static_cast<char>(number & 0xff);
  to.append(bytes, sizeof bytes);
}

} // namespace

chain_hash::chain_hash() {
  static const bool ready = sodium_init() >= 0;
  if (!ready)
    throw std::runtime_error("libsodium cannot be initialized");
}

chain_hash& chain_hash::add(std::string_view bytes) {
  put(buffer_, text_tag, bytes.size());
  buffer_.append(bytes);
  return *this;
}

chain_hash& chain_hash::add(uint64_t number) {
  put(buffer_, number_tag, number);
  return *this;
}

chain_hash::digest chain_hash::finish() {
  digest result;
  // One call over the whole is faster than feeding a stream of small fields.
  crypto_generichash(result.data(), result.size(), reinterpret_cast<const unsigned char*>(buffer_.data()),
                     buffer_.size(), nullptr, 0);
  buffer_.clear();
  return result;
}

} // namespace sluice::sqlite
