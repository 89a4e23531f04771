#pragma once

#include "runtime/store/store_root.hpp"

#include <caf/expected.hpp>
#include <nlohmann/json_fwd.hpp>

#include <string>

namespace sluice {

/// The bounds of `describe_store`, beyond which it says `truncated`.
inline constexpr size_t max_described_databases = 200;
inline constexpr size_t max_described_tables = 1'000;

/// The answer to `schema` (docs/reference/protocol.md): databases with their tables and columns. Without `db`, those of
/// all database files below the root, not of other stores in it; one that cannot be read has an `error`. With `db`,
/// errors as `store_root::resolve` and `connection::open`. Creates no file; safe from any thread; blocks in the file
/// system.
caf::expected<nlohmann::json> describe_store(const store_root& root, const std::string& db);

} // namespace sluice
