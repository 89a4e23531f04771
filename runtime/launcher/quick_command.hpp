#pragma once

#include "messages/value.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sluice::launcher {

/// A command line of `exec` or `query` that does not need the main program: a database, one statement, parameters by
/// position, and the options below.
struct quick_command {
  bool is_write = false;
  /// The folder of the store, and the database in it.
  std::string root;
  std::string db;
  std::string sql;
  std::vector<value> params;
  std::string agent;
  /// Empty for a generated key.
  std::string key;
  bool json = false;
  bool csv = false;
  bool fresh = false;
  /// The time limit of the request; 0 for the configured one.
  uint32_t time_ms = 0;
};

/// Reads the arguments after the program's name. Nothing for any other command line, including invalid ones: the main
/// program handles those.
std::optional<quick_command> read_quick_command(std::span<char* const> words);

} // namespace sluice::launcher
