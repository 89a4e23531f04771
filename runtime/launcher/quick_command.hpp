#pragma once

#include "messages/value.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sluice::launcher {

/// A command line of `exec` or `query` that needs nothing of the whole program: a database, one statement, parameters
/// by position, and the options below.
struct quick_command {
  bool is_write = false;
  /// The folder of the store, and the database in it.
  std::string root;
  std::string db;
  std::string sql;
  std::vector<value> params;
  std::string agent;
  /// Empty for a generated one.
  std::string key;
  bool json = false;
  bool csv = false;
  bool fresh = false;
  /// The time that the request may take; 0 for that of the settings.
  uint32_t time_ms = 0;
};

/// Reads the words behind the program's name. Nothing for any other command line, wrong ones included: the whole
/// program knows them.
std::optional<quick_command> read_quick_command(std::span<char* const> words);

} // namespace sluice::launcher
