#include "runtime/store/signing_key.hpp"

#include "runtime/os/secret_file.hpp"

#include <sodium.h>

namespace sluice {

namespace {

constexpr std::string_view kind = "key file";

const unsigned char* key_bytes(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char*>(text.data());
}

} // namespace

caf::expected<signing_key> signing_key::open_or_make(const std::filesystem::path& path) {
  auto secret = load_or_make_secret(path, kind);
  if (!secret)
    return std::move(secret.error());
  return signing_key{*secret};
}

caf::expected<std::optional<signing_key>> signing_key::open(const std::filesystem::path& path) {
  auto secret = load_secret(path, kind);
  if (!secret)
    return std::move(secret.error());
  if (!*secret)
    return std::optional<signing_key>{};
  return std::optional{signing_key{**secret}};
}

signing_key::signing_key(const std::string& seed_digits) {
  std::array<unsigned char, crypto_sign_SEEDBYTES> seed{};
  static_assert(std::tuple_size_v<public_part> == crypto_sign_PUBLICKEYBYTES);
  static_assert(std::tuple_size_v<decltype(secret_)> == crypto_sign_SECRETKEYBYTES);
  sodium_hex2bin(seed.data(), seed.size(), seed_digits.data(), seed_digits.size(), nullptr, nullptr, nullptr);
  crypto_sign_seed_keypair(public_.data(), secret_.data(), seed.data());
  sodium_memzero(seed.data(), seed.size());
}

signing_key::signature signing_key::sign(std::string_view message) const {
  signature result{};
  static_assert(std::tuple_size_v<signature> == crypto_sign_BYTES);
  crypto_sign_detached(result.data(), nullptr, key_bytes(message), message.size(), secret_.data());
  return result;
}

bool is_signed_by(std::string_view key, std::string_view message, std::string_view signature) {
  return sodium_init() >= 0 && key.size() == crypto_sign_PUBLICKEYBYTES && signature.size() == crypto_sign_BYTES
         && crypto_sign_verify_detached(key_bytes(signature), key_bytes(message), message.size(), key_bytes(key)) == 0;
}

} // namespace sluice
