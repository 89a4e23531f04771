#pragma once

#include "tests/system/situation.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>

/// The common code of the small hosts that tests run as processes: `PROGRAM CASE FOLDER [NUMBER]`. They print their
/// results, a line for each fact.
namespace sluice::test::lifetimes {

inline std::filesystem::path folder;
inline uint64_t number = 0;

inline void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

inline void write_until_refused(const database& db) {
  for (int64_t id = 1'000; db.write(insert(++id));)
    continue;
}

/// Runs the case that the arguments name; returns the exit status, 2 for wrong usage.
inline int run_case(int argc, char** argv, const std::map<std::string, std::function<void()>>& cases) {
  if (argc < 3 || !cases.contains(argv[1]))
    return 2;
  folder = argv[2];
  number = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 0;
  try {
    cases.at(argv[1])();
    return 0;
  } catch (const std::exception& error) {
    say(error.what());
    return 1;
  }
}

} // namespace sluice::test::lifetimes
