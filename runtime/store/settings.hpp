#pragma once

#include "runtime/store/config.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace sluice {

/// The description of one setting; the file, the environment and the documentation are derived from it.
struct setting {
  template <class T> using field = T broker_config::*;
  using any_field = std::variant<field<uint64_t>, field<std::chrono::milliseconds>, field<std::chrono::hours>,
                                 field<double>, field<bool>, field<synchronous_mode>>;

  /// @param lowest, highest the bounds of a number, inclusive, in the unit that the key ends in
  template <class T, class Config>
  constexpr setting(std::string_view name, T Config::*where, double lowest, double highest, std::string_view sentence)
    : key(name), member(field<T>{where}), min(lowest), max(highest), description(sentence),
      per_database(std::is_same_v<Config, database_config>) {}

  std::string_view key;
  any_field member;
  double min;
  double max;
  std::string_view description;
  /// Whether a `[[database]]` may override it.
  bool per_database;
};

/// A value as the file or the environment contains it.
using raw_value = std::variant<bool, int64_t, double, std::string_view>;

/// Every setting, in the order in which they are documented.
std::span<const setting> all_settings() noexcept;

/// The one with this key; null when there is none.
const setting* find_setting(std::string_view key) noexcept;

/// Its name in the environment.
std::string environment_name(const setting& s);

/// The allowed values, for people.
std::string range_of(const setting& s);

/// Its value in `config`, as `sluice.toml` would have it.
std::string text_of(const setting& s, const broker_config& config);

/// Sets it; false, without effect, when the value has another type or is out of range.
bool assign(broker_config& to, const setting& s, const raw_value& raw);

/// Whether its value in `config`, which a host may have set to anything, is valid.
bool is_in_range(const setting& s, const broker_config& config);

/// The settings of one table of the write-behind buffer, as `[[buffer_table]]` or in `broker_config::buffer_tables`.
inline constexpr int64_t longest_table_interval_ms = 86'400'000;
inline constexpr int64_t highest_table_priority = 1'000;

/// The name of a database's file as the broker spells it in its settings (`./a.db` is `a.db`); nothing for a name that
/// leads to no file below the store root. Accesses no file.
std::optional<std::string> spelled_as_setting(const std::string& db);

/// Copies the setting's value from `from` to `to`.
void copy_setting(broker_config& to, const setting& s, const broker_config& from);

/// A value of the environment, where everything is text; only settings of type text keep it as text.
raw_value read_text(const setting& s, std::string_view text);

} // namespace sluice
