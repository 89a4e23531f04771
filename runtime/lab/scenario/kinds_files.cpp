#include "runtime/lab/scenario/kinds.hpp"

#include <utility>

namespace sluice::scenario {

namespace {

using enum field_type;

void check_clock(const node& fields) {
  auto ahead = fields.find("ahead_ms") != nullptr;
  auto back = fields.find("back_ms") != nullptr;
  if (ahead == back)
    throw mistake{fields.at, "clock.set needs either ahead_ms or back_ms: a whole number from 1"};
}

step_kind make_clock() {
  auto kind = event("clock.set", "The wall clock is set, on a backend with a clock of its own; no time passes",
                    {{"ahead_ms", whole, "Forward by so much", false, 1, 366 * day_ms},
                     {"back_ms", whole, "Back by so much", false, 1, 366 * day_ms}});
  kind.check = check_clock;
  return kind;
}

step_kind make_leave() {
  auto kind = event("client.leave", "A client sends a write and goes away before it is answered",
                    {db_field,
                     {"sql", text, "One statement", true},
                     {"idempotency_key", text, "As of a write"},
                     {"request_id", text, "As of a write"}});
  return kind;
}

} // namespace

std::vector<step_kind> file_kinds() {
  const field from{"from", text, "The file, beside the databases, that files.backup has made", true};
  return {
    event("files.backup", "Another program makes a consistent copy of a database, as VACUUM INTO does",
          {db_field, {"as", text, "The name of the copy, beside the databases", true}}),
    event("files.restore", "Another program puts such a copy in the place of a database",
          {db_field,
           from,
           {"how", choice, "Renamed over the database, or copied over its content", true, 0, 0, {"rename", "copy"}}}),
    event("files.remove", "Another program removes files of a database",
          {db_field, {"what", choice, "Which", true, 0, 0, {"database", "log", "index", "all"}}}),
    event("store.copy", "Copies a database and its log as they lie there, looks into the copy, and removes it",
          {db_field}, {"integrity", "last_commit_seq"}),
    make_leave(),
    make_clock()};
}

} // namespace sluice::scenario
