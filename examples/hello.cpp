#include "runtime/broker/broker.hpp"

#include <iostream>

int main() {
  sluice::broker_config config;
  config.root = ".";
  auto broker = sluice::broker::open(config);
  auto db = broker ? broker->open_database("hello.db") : broker.error();
  if (!db) {
    std::cerr << sluice::describe(db.error()).message << '\n';
    return 1;
  }
  db->write("alice", "CREATE TABLE IF NOT EXISTS greetings (text TEXT NOT NULL)");
  db->write("alice", "INSERT INTO greetings (text) VALUES (?)", {"hello, world"});
  if (auto answer = db->read("bob", "SELECT count(*) FROM greetings"))
    std::cout << *answer->rows->at(0, 0).integer() << " greetings so far\n";
}
