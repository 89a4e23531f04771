#pragma once

#include "runtime/json/base64.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Converts bytes to JSON text and back. JSON text must be UTF-8; SQLite stores any bytes as TEXT and as names. Pure
/// functions, safe from any thread.
namespace sluice {

/// Writes a document on one line. Never throws. Text that is not UTF-8 is escaped for people, each byte as `\xNN`;
/// `text_as_json` encodes values that must be returned unchanged, and `dump_exactly` writes documents for a broker.
std::string dump(const nlohmann::json& document);

/// As `dump`, on several lines, for people.
std::string dump_pretty(const nlohmann::json& document);

/// As `dump`, but `errc::invalid_request` naming the first member (`statements[0].sql`) that is not UTF-8, because the
/// receiver would get another text.
caf::expected<std::string> dump_exactly(const nlohmann::json& document);

/// The error with which `dump_exactly` would fail, for a document that is not sent; nothing when all its text is UTF-8.
caf::error utf8_error(const nlohmann::json& document);

/// A text (or a name of a table or column) as a JSON string, or as `{"$text":"BASE64"}` if it is not UTF-8.
nlohmann::json text_as_json(std::string_view text);

/// An array of `text_as_json`.
nlohmann::json texts_as_json(const std::vector<std::string>& texts);

/// Reads the output of `text_as_json`, and `{"$text"}` of UTF-8 too; nothing if `source` has another form.
std::optional<std::string> text_from_json(const nlohmann::json& source);

} // namespace sluice
