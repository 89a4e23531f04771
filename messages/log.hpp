#pragma once

#include "messages/inspection.hpp"

#include <caf/meta/type_name.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// The level of an entry, least severe first.
enum class log_level : uint8_t { trace, debug, info, warning, error, critical };

namespace detail {

inline constexpr std::array<std::string_view, 6> log_level_names{"trace",   "debug", "info",
                                                                 "warning", "error", "critical"};

} // namespace detail

constexpr std::string_view to_string(log_level level) { return detail::log_level_names[static_cast<size_t>(level)]; }

/// The level with this name.
constexpr std::optional<log_level> log_level_of(std::string_view name) {
  for (size_t i = 0; i < detail::log_level_names.size(); ++i)
    if (detail::log_level_names[i] == name)
      return static_cast<log_level>(i);
  return std::nullopt;
}

/// One line of the log database.
struct log_entry {
  /// Place in the log, from 1; given by the log store.
  uint64_t id = 0;
  /// Microseconds since the Unix epoch.
  int64_t ts_us = 0;
  log_level level = log_level::info;
  /// The part of the program that logs.
  std::string source;
  std::string agent;
  std::string message;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, log_entry& x) {
  return f(caf::meta::type_name("log_entry"), x.id, x.ts_us, x.level, x.source, x.agent, x.message);
}
SLUICE_DECLARE_INSPECT(log_entry)

/// The entries to list; empty fields select everything.
struct log_query {
  /// This level and more severe ones.
  log_level least = log_level::trace;
  std::string source;
  std::string agent;
  /// Part of the message, case-sensitive.
  std::string contains;
  /// Microseconds since the Unix epoch, inclusive.
  int64_t since_us = 0;
  /// Entries after this place; for paging and following.
  uint64_t after_id = 0;
  /// The maximum number of entries, oldest first; with `newest`, the last ones.
  uint64_t limit = 100;
  bool newest = true;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, log_query& x) {
  return f(caf::meta::type_name("log_query"), x.least, x.source, x.agent, x.contains, x.since_us, x.after_id, x.limit,
           x.newest);
}
SLUICE_DECLARE_INSPECT(log_query)

struct log_page {
  std::vector<log_entry> entries;
  /// Whether entries are missing because the answer would have had too many bytes.
  bool truncated = false;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, log_page& x) {
  return f(caf::meta::type_name("log_page"), x.entries, x.truncated);
}
SLUICE_DECLARE_INSPECT(log_page)

} // namespace sluice
