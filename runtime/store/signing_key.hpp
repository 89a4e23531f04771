#pragma once

#include <caf/expected.hpp>

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

/// An Ed25519 key pair (RFC 8032, by libsodium) in a file that only its owner can read. Immutable; thread-safe.
class signing_key {
public:
  using public_part = std::array<unsigned char, 32>;
  using signature = std::array<unsigned char, 64>;

  /// Reads the file, or makes it with a new key. Errors as `load_or_make_secret`.
  static caf::expected<signing_key> open_or_make(const std::filesystem::path& path);

  /// Reads the file; nothing when there is none. Errors as `load_secret`.
  static caf::expected<std::optional<signing_key>> open(const std::filesystem::path& path);

  const public_part& verifying_key() const noexcept { return public_; }
  signature sign(std::string_view message) const;

private:
  explicit signing_key(const std::string& seed_digits);

  public_part public_{};
  std::array<unsigned char, 64> secret_{};
};

/// Whether `signature` was made for `message` by the key whose public part is `key`; false for parts of another size.
bool is_signed_by(std::string_view key, std::string_view message, std::string_view signature);

} // namespace sluice
