#pragma once

#include "messages/migration.hpp"
#include "messages/write.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// The text of a migration. Pure functions, safe from any thread.
namespace sluice {

/// Of the text. Most texts of this size fit the request that carries them (`max_request_bytes`).
inline constexpr uint64_t max_migration_bytes = 8ULL << 20;
inline constexpr size_t max_migration_statements = 10'000;
/// As a time to the second: a number once applied blocks all lower ones, so that a mistyped one must not be the last.
inline constexpr uint64_t max_migration_number = 99'999'999'999'999;

/// A migration as its author wrote it.
struct migration_file {
  uint64_t number = 0;
  /// `0003_add_rating.sql`: the number, `_`, `-` or `.`, and anything that ends in `.sql`.
  std::string name;
  std::string text;
};

/// The number in the name of a migration; nothing if the name has none, or one that is 0 or too large.
std::optional<uint64_t> migration_number(std::string_view name) noexcept;

/// SHA-256 in 64 hexadecimal digits, as `sha256sum` prints it. Throws `std::runtime_error` if libsodium cannot be
/// initialized.
std::string migration_hash(std::string_view text);

/// Turns `to` into the migration: sets its statements, its foreign keys and `migration`. `errc::invalid_request`, with
/// line and reason, if the name has no number; if the text is not UTF-8, or has no statement, or one that a request may
/// not have (BEGIN, ATTACH, VACUUM), or a mistake in an annotation. `errc::too_large` if it exceeds the bounds above.
///
/// Comment lines before the first statement may hold the annotation `foreign_keys off` or `foreign_keys: off`; a
/// comment whose first word is nearly `foreign_keys` is a mistake.
caf::error prepare_migration(std::string_view name, std::string_view text, write_request& to);

} // namespace sluice
