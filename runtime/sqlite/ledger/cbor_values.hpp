#pragma once

#include "messages/statement.hpp"
#include "runtime/sqlite/ledger/cbor_writer.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string_view>

/// How values and statements look as CBOR in the broker's own records. Types and bits are kept exactly, and no two
/// values share an encoding.
namespace sluice::sqlite {

void encode(cbor_writer& to, const value& content);

/// An array of the SQL, [positional values], [name, value, ...] and, if there is one, the expected number of changes. The
/// order in which names are given says nothing, so they are sorted.
void encode(cbor_writer& to, const statement& query);

/// One item with nothing behind it; discarded (`is_discarded`) when `bytes` is something else.
nlohmann::json parse_cbor(std::string_view bytes);

/// The reverse of `encode`; they throw `nlohmann::json::exception` where `item` is something else.
value decode_value(const nlohmann::json& item);
statement decode_statement(const nlohmann::json& item);

/// An integer; a number with a fraction is something else.
int64_t decode_integer(const nlohmann::json& item);

} // namespace sluice::sqlite
