// A host with its own CAF actor system: agents are actors, and the broker lives among them.
//
//   embed_actors [FOLDER]

#include "runtime/broker/broker.hpp"

#include <caf/all.hpp>
#include <fmt/core.h>

#include <memory>
#include <string>

namespace {

struct agent_state {
  std::string name;
  int left = 100;
};

void count_own_notes(caf::stateful_actor<agent_state>* self, const sluice::database& db) {
  sluice::read_request request;
  request.agent = self->state.name;
  request.query = {"SELECT count(*) FROM notes WHERE agent = ?", {self->state.name}};
  db.read(self, request).then([self](const sluice::read_result& answer) {
    fmt::print("{} wrote {} notes\n", self->state.name, *answer.rows->at(0, 0).integer());
  });
}

// Writes one note after the other; each is on disk before the next begins.
void write_notes(caf::stateful_actor<agent_state>* self, const sluice::database& db) {
  if (self->state.left-- == 0)
    return count_own_notes(self, db);
  sluice::write_request request;
  request.agent = self->state.name;
  request.statements = {{"INSERT INTO notes (agent, text) VALUES (?, ?)", {self->state.name, "remember this"}}};
  db.write(self, std::move(request))
    .then([self, db](const sluice::write_result&) { write_notes(self, db); },
          [self](const caf::error& error) {
            fmt::print("{} failed: {}\n", self->state.name, sluice::describe(error).message);
          });
}

void agent(caf::stateful_actor<agent_state>* self, const sluice::database& db, std::string name) {
  self->state.name = std::move(name);
  write_notes(self, db);
}

} // namespace

int main(int argc, char** argv) {
  caf::actor_system_config system_config;
  sluice::add_message_types(system_config);
  caf::actor_system system{system_config};

  sluice::broker_config config;
  config.root = argc > 1 ? argv[1] : ".";
  auto broker = sluice::broker::open(system, config);
  if (!broker)
    return 1;
  auto db = broker->open_database("notes.db");
  if (!db || !db->write("host", "CREATE TABLE IF NOT EXISTS notes (agent TEXT NOT NULL, text TEXT NOT NULL)"))
    return 1;

  caf::scoped_actor host{system};
  for (int i = 0; i < 8; ++i)
    host->spawn<caf::monitored>(agent, *db, "agent-" + std::to_string(i));
  for (int i = 0; i < 8; ++i)
    host->receive([](const caf::down_msg&) {});

  auto verdict = broker->verify_audit();
  fmt::print("{} audit records, {}\n", verdict->records, verdict->intact() ? "intact" : "BROKEN");
  return verdict->intact() ? 0 : 1;
}
