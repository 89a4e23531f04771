// Runs files in SQLite's sqllogictest format through a broker; docs/internals/testing.md says more.
//
//   sqllogictest FILE...      each on a database of its own
//
// Exit status: 0 when all results match, 1 when not (FILE:LINE: reason, on standard error), 2 without files.

#include "tests/sqllogictest/script_run.hpp"
#include "tests/support/temp_dir.hpp"

#include <chrono>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>

namespace sluice::test {
namespace {

// The engine names in `skipif` and `onlyif` that mean this engine.
const std::vector<std::string> engines{"sqlite", "sluice"};

std::string contents_of(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  std::string result{std::istreambuf_iterator<char>{in}, {}};
  if (in.bad() || !in.is_open())
    throw script_error{file + ": cannot be read"};
  return result;
}

bool run(const std::string& file) {
  auto began = std::chrono::steady_clock::now();
  auto records = parse_script(file, contents_of(file), engines);
  temp_dir folder;
  broker_config config;
  config.root = folder.path();
  // Cached answers must not expire on slow machines.
  config.cache_ttl = std::chrono::hours{1};
  auto host = broker::open(config);
  auto db = host ? host->open_database("test.db") : caf::expected<database>{host.error()};
  if (!db)
    throw script_error{file + ": " + describe(db.error()).message};
  // Creates the file: only writes do that, and a script may begin with a query.
  if (auto made = db->write("sqllogictest", "SELECT 1"); !made)
    throw script_error{file + ": " + describe(made.error()).message};
  script_run script{*db, file, [](const std::string& line) { std::cerr << line << "\n"; }};
  script.run(records);
  auto result = script.counts();
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::cout << file << ": " << result.statements << " statements, " << result.queries << " queries (" << result.hits
            << " answered again from the cache), " << result.skipped << " skipped, " << result.failed << " failed, "
            << took.count() << " s\n";
  if (result.statements + result.queries == 0) {
    std::cerr << file << ": nothing to do\n";
    return false;
  }
  return result.failed == 0;
}

} // namespace
} // namespace sluice::test

int main(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    std::cerr << "usage: sqllogictest FILE...\n";
    return 2;
  }
  auto good = true;
  for (int i = 1; i < argc; ++i) {
    try {
      good = sluice::test::run(argv[i]) && good;
    } catch (const std::exception& error) {
      std::cerr << error.what() << "\n";
      good = false;
    }
  }
  return good ? 0 : 1;
}
