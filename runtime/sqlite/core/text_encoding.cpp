#include "runtime/sqlite/core/text_encoding.hpp"

#include "actors/base/utf8_text.hpp"
#include "messages/error.hpp"

#include <sqlite3.h>

#include <cstdint>
#include <string>

namespace sluice::sqlite {

namespace {

constexpr bool is_high(uint16_t unit) noexcept { return unit >= 0xd800 && unit <= 0xdbff; }

constexpr bool is_low(uint16_t unit) noexcept { return unit >= 0xdc00 && unit <= 0xdfff; }

bool is_well_formed(std::string_view bytes, bool little_endian) noexcept {
  if (bytes.size() % 2 != 0)
    return false;
  auto unit = [&](size_t i) {
    auto first = static_cast<unsigned char>(bytes[i]);
    auto second = static_cast<unsigned char>(bytes[i + 1]);
    return static_cast<uint16_t>(little_endian ? first | second << 8U : first << 8U | second);
  };
  for (size_t i = 0; i < bytes.size(); i += 2) {
    if (is_low(unit(i)))
      return false;
    if (!is_high(unit(i)))
      continue;
    i += 2;
    if (i == bytes.size() || !is_low(unit(i)))
      return false;
  }
  return true;
}

} // namespace

bool fits_utf16(std::string_view text) noexcept {
  auto has = [&](std::string_view bytes) { return text.find(bytes) != std::string_view::npos; };
  return is_utf8(text) && !has("\xef\xbf\xbe") && !has("\xef\xbf\xbf");
}

bool stores_utf16(sqlite3* db) noexcept {
  sqlite3_stmt* stmt = nullptr;
  auto code = sqlite3_prepare_v2(db, "PRAGMA encoding", -1, &stmt, nullptr);
  // If it is interrupted, the caller fails anyway; no text is converted until it is known.
  auto result = true;
  if (code == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
    if (const auto* name = reinterpret_cast<const char*>(sqlite3_column_text(stmt, 0)))
      result = std::string_view{name} != "UTF-8";
  sqlite3_finalize(stmt);
  return result;
}

bool is_in_utf16(sqlite3_stmt* stmt, int column) noexcept {
  return sqlite3_value_encoding(sqlite3_column_value(stmt, column)) != SQLITE_UTF8;
}

bool has_lone_surrogate(sqlite3_stmt* stmt, int column) noexcept {
  auto little_endian = sqlite3_value_encoding(sqlite3_column_value(stmt, column)) == SQLITE_UTF16LE;
  // Reads the stored bytes, and their number without a conversion.
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(stmt, column));
  auto size = static_cast<size_t>(sqlite3_column_bytes16(stmt, column));
  return bytes && !is_well_formed({bytes, size}, little_endian);
}

caf::error inexact_text(std::string_view name) {
  return make_error(errc::invalid_request,
                    "the column '" + std::string{name}
                      + "' holds UTF-16 text with half a surrogate pair, which UTF-8 cannot express; "
                        "read it as CAST(... AS BLOB)");
}

} // namespace sluice::sqlite
