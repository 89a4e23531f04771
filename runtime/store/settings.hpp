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

/// The description of one setting. The key in `sluice.toml`, the environment variable, the range check and the error
/// messages follow from it; a test compares docs/reference/configuration.md with it.
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

/// A value from `sluice.toml` or an environment variable, before its range is checked.
using raw_value = std::variant<bool, int64_t, double, std::string_view>;

/// All settings that are single values, in the order of docs/reference/configuration.md.
std::span<const setting> all_settings() noexcept;

/// The setting with this key; null when there is none.
const setting* find_setting(std::string_view key) noexcept;

/// The environment variable of the setting, as `SLUICE_CACHE_TTL_MS`.
std::string environment_name(const setting& s);

/// The allowed values for error messages, as "a whole number from 1 to 64".
std::string range_of(const setting& s);

/// The value of the setting in `config`, in the syntax of `sluice.toml`.
std::string text_of(const setting& s, const broker_config& config);

/// Sets the setting in `to`; false, without effect, when `raw` has another type or is out of range.
bool assign(broker_config& to, const setting& s, const raw_value& raw);

/// Whether the value of the setting in `config`, which a host may have set to anything, is valid.
bool is_in_range(const setting& s, const broker_config& config);

/// The bounds of the settings of one table of the write-behind buffer: its interval is at least 1 ms, its priority at
/// least `-highest_table_priority`.
inline constexpr int64_t longest_table_interval_ms = 86'400'000;
inline constexpr int64_t highest_table_priority = 1'000;

/// The name under which the broker looks up the settings of the database `db` (`a.db` for `./a.db`); nothing for a name
/// that leads out of the store root. Accesses no file.
std::optional<std::string> normalized_database_name(const std::string& db);

/// Copies the setting's value from `from` to `to`.
void copy_setting(broker_config& to, const setting& s, const broker_config& from);

/// Converts the text of an environment variable to the type of the setting; `synchronous` stays text, and so does text
/// of another form, which `assign` then refuses.
raw_value read_text(const setting& s, std::string_view text);

} // namespace sluice
