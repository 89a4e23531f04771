// Holds the lock of a database, as a process outside the broker, until its standard input ends; then commits.
//
//   lock_holder FILE [JOURNAL_MODE]

#include "runtime/sqlite/core/connection.hpp"

#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 2)
    return 2;
  sluice::sqlite::connection_options options;
  options.mode = sluice::sqlite::open_mode::read_write_create;
  auto db = sluice::sqlite::connection::open(argv[1], options);
  if (!db)
    return 1;
  if (argc > 2 && !db->exec((std::string{"PRAGMA journal_mode = "} + argv[2]).c_str()))
    return 1;
  if (!db->exec("BEGIN EXCLUSIVE"))
    return 1;
  std::puts("held");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return db->exec("COMMIT") ? 0 : 1;
}
