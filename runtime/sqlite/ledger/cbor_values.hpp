#pragma once

#include "messages/statement.hpp"
#include "runtime/sqlite/ledger/cbor_writer.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string_view>

/// The CBOR format of values and statements in the broker's own records. Types and bits are preserved exactly, and no
/// two values have the same encoding.
namespace sluice::sqlite {

void encode(cbor_writer& to, const value& content);

/// An array of the SQL, [positional values], [name, value, ...] and, if there is one, the expected number of changes.
/// The order of named values has no meaning, so they are sorted.
void encode(cbor_writer& to, const statement& query);

/// One item with nothing after it; discarded (`is_discarded`) when `bytes` has another form.
nlohmann::json parse_cbor(std::string_view bytes);

/// The reverse of `encode`; they throw `nlohmann::json::exception` when `item` has another form.
value decode_value(const nlohmann::json& item);
statement decode_statement(const nlohmann::json& item);

/// An integer; throws for a number with a fraction.
int64_t decode_integer(const nlohmann::json& item);

} // namespace sluice::sqlite
