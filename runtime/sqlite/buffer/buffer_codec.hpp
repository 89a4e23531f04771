#pragma once

#include "messages/buffer.hpp"

#include <optional>
#include <string>
#include <string_view>

/// The format of the buffer file's records: CBOR arrays that begin with a format number, so that a later version of
/// sluice can extend them and still read these.
namespace sluice::sqlite {

/// [1, db, table, [key column, value, ...], operation word, [column, value, ...], agent, uid, pid]. The wait of the
/// caller is not stored.
std::string encode_put(const buffer_put& operation);

/// The reverse; nothing when `bytes` has another form or format.
std::optional<buffer_put> decode_put(std::string_view bytes);

/// [1, db, [statements], agent, request id, idempotency key, correlation id, deadline in ms, uid, pid].
std::string encode_request(const write_request& request);

/// The reverse; nothing when `bytes` has another form or format.
std::optional<write_request> decode_request(std::string_view bytes);

} // namespace sluice::sqlite
