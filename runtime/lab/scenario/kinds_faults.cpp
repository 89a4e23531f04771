#include "runtime/lab/scenario/kinds.hpp"

#include <utility>

namespace sluice::scenario {

namespace {

using nlohmann::json;
using enum field_type;

step_kind make_kill() {
  auto result = event("kill", "Kills an actor of the broker, or its whole process as kill -9 does",
                      {{"what",
                        choice,
                        "The actor, or the process",
                        true,
                        0,
                        0,
                        {"process", "writer", "reader", "cache", "audit", "buffer", "log"}},
                       {"db", text, "Of a writer or reader: its database; needed if there are several"}});
  result.short_for = "what";
  return result;
}

step_kind make_stop() {
  return event("stop", "Ends the broker in order, as sluice stop does; the next request starts another one", {});
}

void check_disk_fault(const node& fields) {
  const auto* effect = fields.find("effect");
  const auto* delay = fields.find("delay_ms");
  if (effect->text == "delay" && !delay)
    throw mistake{effect->at, "effect delay needs delay_ms: a whole number from 1"};
  if (effect->text != "delay" && delay)
    throw mistake{delay->at, "delay_ms belongs to the effect delay"};
}

step_kind make_disk_fault() {
  auto kind = event(
    "disk.fault", "From now on, operations of the broker's disk go wrong",
    {{"effect",
      choice,
      "The effect on the operation",
      true,
      0,
      0,
      {"io_error", "full", "delay", "kill_before", "kill_after"}},
     {"on", choice, "Which operations", true, 0, 0, {"open", "read", "write", "sync", "truncate", "remove", "lock"}},
     {"file", text, "How the file's name ends, as in app.db-wal; any file if left out"},
     {"nth", whole, "The first that goes wrong, counted from now; 1 if left out", false, 1},
     {"times", whole, "How many go wrong; 1 if left out, 0 means all", false, 0},
     {"delay_ms", whole, "Of the effect delay: how much later", false, 1, day_ms}});
  kind.check = check_disk_fault;
  return kind;
}

step_kind make_disk_room() {
  auto kind = event("disk.room", "From now on, so many bytes more may be written past the ends of files",
                    {{"bytes", whole, "0 is a full disk", true, 0}});
  kind.short_for = "bytes";
  return kind;
}

step_kind make_foreign_lock() {
  auto kind =
    event("foreign.lock", "An external process takes the database's write lock",
          {db_field, {"for_ms", whole, "Lets go of it after so long; else foreign.unlock does", false, 1, day_ms}});
  kind.short_for = "db";
  return kind;
}

} // namespace

step_kind event(std::string_view name, std::string_view about, std::vector<field> fields,
                std::vector<std::string_view> answers) {
  step_kind kind;
  kind.name = name;
  kind.about = about;
  kind.fields = std::move(fields);
  kind.answers = std::move(answers);
  kind.needs_backend = true;
  kind.run = [](runner& in, const step& step, json parameters, on_answer done) {
    in.on().act(step.kind->name, std::move(parameters), std::move(done));
  };
  return kind;
}

std::vector<step_kind> fault_kinds() {
  auto unlock = event("foreign.unlock", "That process releases the lock", {db_field});
  auto write = event("foreign.write", "An external process writes to the database",
                     {db_field, {"sql", text, "One statement", true}});
  auto advance = event("clock.advance", "Lets time pass at once, on a backend with a clock of its own",
                       {{"ms", whole, "How much", true, 1, 366 * day_ms}});
  advance.short_for = "ms";
  unlock.short_for = "db";
  return {make_kill(),
          make_stop(),
          make_disk_fault(),
          make_disk_room(),
          event("disk.heal", "The disk is as good as new", {}),
          make_foreign_lock(),
          std::move(unlock),
          std::move(write),
          std::move(advance)};
}

} // namespace sluice::scenario
