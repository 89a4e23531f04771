// Writes to and reads from a database as the user `nobody`, even if root starts it, and prints the results.
//
//   unprivileged_client FOLDER DB

#include "runtime/broker/broker.hpp"

#include <cstdio>
#include <string>
#include <unistd.h>

namespace {

constexpr unsigned nobody = 65'534;

template <class T> void say(const char* action, const caf::expected<T>& result) {
  auto word = result ? std::string{"ok"} : std::string{to_string(sluice::describe(result.error()).code)};
  std::printf("%s %s\n", action, word.c_str());
  if (!result)
    std::fprintf(stderr, "%s: %s\n", action, sluice::describe(result.error()).message.c_str());
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 3)
    return 2;
  if (geteuid() == 0 && (setgid(nobody) != 0 || setuid(nobody) != 0))
    return 2;
  sluice::broker_config config;
  config.root = argv[1];
  auto broker = sluice::broker::open(config);
  if (!broker) {
    say("broker", broker);
    return 0;
  }
  auto db = broker->open_database(argv[2]);
  if (!db) {
    say("open", db);
    return 0;
  }
  say("write", db->write("nobody", "INSERT INTO notes (text) VALUES ('x')"));
  say("read", db->read("nobody", "SELECT count(*) FROM notes"));
  auto other = broker->open_database("other.db");
  if (!other)
    say("other", other);
  else
    say("other", other->write("nobody", "CREATE TABLE IF NOT EXISTS notes (text TEXT)"));
  return 0;
}
