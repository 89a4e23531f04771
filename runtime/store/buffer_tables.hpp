#pragma once

#include "runtime/store/config.hpp"

#define TOML_EXCEPTIONS 0
// For malformed files the parser asserts and, in optimized builds, lets the compiler assume conditions that do not
// hold. Without assertions and assumptions it reports the mistake correctly.
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// A value as written in `sluice.toml`, truncated after 80 characters.
std::string as_written(const toml::node& node);

/// The `db` of a `[[TABLE]]`: a file relative to the store root, spelt as the broker spells it.
std::optional<config_mistake> read_database_name(std::string_view table, const toml::node& node, std::string& to);

/// One `[[buffer_table]]`; without an interval of its own it uses the general one.
struct buffer_table_entry {
  buffered_table table;
  std::optional<std::chrono::milliseconds> interval;
};

/// Reads `[[buffer_table]]`; `to` gets its entries. A mistake is an entry that is unknown, missing, out of range, of
/// the wrong type, or a duplicate for one table.
std::optional<config_mistake> read_buffer_tables(const toml::node& node, std::vector<buffer_table_entry>& to);

} // namespace sluice
