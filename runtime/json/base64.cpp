#include "runtime/json/base64.hpp"

#include <sodium.h>

namespace sluice {

namespace {

std::string encode_base64(std::string_view bytes, int variant) {
  // The length that libsodium asks for includes a closing NUL.
  std::string result(sodium_base64_encoded_len(bytes.size(), variant), '\0');
  sodium_bin2base64(result.data(), result.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                    variant);
  result.pop_back();
  return result;
}

std::optional<std::string> decode_base64(std::string_view text, int variant) {
  std::string result(text.size() / 4 * 3 + 3, '\0');
  size_t size = 0;
  const char* end = nullptr;
  auto code = sodium_base642bin(reinterpret_cast<unsigned char*>(result.data()), result.size(), text.data(),
                                text.size(), nullptr, &size, &end, variant);
  if (code != 0 || end != text.data() + text.size())
    return std::nullopt;
  result.resize(size);
  return result;
}

} // namespace

std::string to_base64(std::string_view bytes) { return encode_base64(bytes, sodium_base64_VARIANT_ORIGINAL); }

std::optional<std::string> from_base64(std::string_view text) {
  return decode_base64(text, sodium_base64_VARIANT_ORIGINAL);
}

std::string to_base64url(std::string_view bytes) {
  return encode_base64(bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

std::optional<std::string> from_base64url(std::string_view text) {
  auto result = decode_base64(text, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  // libsodium accepts some bytes beyond ASCII.
  if (result && to_base64url(*result) != text)
    return std::nullopt;
  return result;
}

} // namespace sluice
