#pragma once

#include "messages/inspection.hpp"

#include <caf/meta/type_name.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// The table with a row for each migration that was applied to a database. The broker makes it with the first one; it
/// may be read, and only the broker writes it.
inline constexpr std::string_view migrations_table = "_sluice_migrations";

/// Makes a write a migration: a numbered change that is applied to a database once, in the order of the numbers.
struct migration {
  /// From 1.
  uint64_t number = 0;
  /// Its file, as `0003_add_rating.sql`.
  std::string name;
  /// Of its text: SHA-256 in 64 hexadecimal digits, in lower case.
  std::string hash;
  /// The line in which each statement of the request begins, from 1; may be empty.
  std::vector<uint32_t> lines;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, migration& x) {
  return f(caf::meta::type_name("migration"), x.number, x.name, x.hash, x.lines);
}
SLUICE_DECLARE_INSPECT(migration)

} // namespace sluice
