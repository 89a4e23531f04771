#include "runtime/lab/scenario/fault_injection.hpp"

#include "messages/error.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::scenario {

namespace {

using nlohmann::json;
using sqlite::disk_effect;
using sqlite::disk_operation;

constexpr std::array operations{
  std::pair{std::string_view{"open"}, disk_operation::open},
  std::pair{std::string_view{"read"}, disk_operation::read},
  std::pair{std::string_view{"write"}, disk_operation::write},
  std::pair{std::string_view{"sync"}, disk_operation::sync},
  std::pair{std::string_view{"truncate"}, disk_operation::truncate},
  std::pair{std::string_view{"remove"}, disk_operation::remove},
  std::pair{std::string_view{"lock"}, disk_operation::lock},
};

constexpr std::array effects{
  std::pair{std::string_view{"io_error"}, disk_effect::io_error},
  std::pair{std::string_view{"full"}, disk_effect::full},
  std::pair{std::string_view{"delay"}, disk_effect::delay},
  std::pair{std::string_view{"kill_before"}, disk_effect::kill_before},
  std::pair{std::string_view{"kill_after"}, disk_effect::kill_after},
};

// The parser of scenarios has checked the word.
template <class Table> auto meaning_of(const std::string& word, const Table& table) {
  auto found = std::find_if(table.begin(), table.end(), [&](const auto& x) { return x.first == word; });
  return found == table.end() ? table.front().second : found->second;
}

// Kills the actor that `now` returns.
template <class Now> caf::expected<std::function<bool()>> kill(Now now) {
  auto victim = now();
  if (!victim)
    return make_error(errc::unavailable, "there is no such actor now");
  caf::anon_send_exit(victim, caf::exit_reason::kill);
  // None if it has failed too often.
  return std::function<bool()>{[now, victim] { return now() != victim; }};
}

// Kills one of its readers. A database has as many readers as it has needed so far.
caf::expected<std::function<bool()>> kill_reader(database_context& context) {
  auto readers = context.readers();
  if (readers.empty())
    return make_error(errc::unavailable, "there is no such actor now");
  caf::anon_send_exit(readers.front(), caf::exit_reason::kill);
  return std::function<bool()>{[&context, victim = readers.front(), count = readers.size()] {
    auto now = context.readers();
    return std::find(now.begin(), now.end(), victim) == now.end() && (now.size() >= count || !context.serving());
  }};
}

// The context of the database; of the only one that is open if none is named.
caf::expected<database_context*> find_context(actor_registry& actors, const std::string& db) {
  database_context* found = nullptr;
  for (auto* context : actors.contexts()) {
    if (!context->serving() || (!db.empty() && context->name() != db))
      continue;
    if (found)
      return make_error(errc::invalid_request, "several databases are in use; say which with db");
    found = context;
  }
  if (!found)
    return make_error(errc::invalid_request, (db.empty() ? std::string{"no database is in use"} : db + " is not in use")
                                               + " yet; the first request to it opens it");
  return found;
}

} // namespace

caf::expected<std::function<bool()>> kill_actor(actor_registry& actors, const json& fields) {
  auto target = fields.value("what", "");
  if (target == "cache")
    return kill([&actors] { return actors.cache(); });
  if (target == "audit")
    return kill([&actors] { return actors.audit(); });
  if (target == "buffer")
    return kill([&actors] { return actors.buffer(); });
  if (target == "log")
    return kill([&actors] { return actors.log(); });
  auto context = find_context(actors, fields.value("db", ""));
  if (!context)
    return std::move(context.error());
  if (target == "reader")
    return kill_reader(**context);
  return kill([context = *context] {
    auto route = context->route();
    return route ? route->writer : writer_actor{};
  });
}

caf::expected<json> break_disk(sqlite::fault_vfs& disk, const json& command) {
  auto action = command.value("do", "");
  if (action == "disk.heal") {
    disk.heal();
  } else if (action == "disk.room") {
    disk.set_room(command.at("bytes").get<uint64_t>());
  } else if (action == "disk.fault") {
    sqlite::disk_fault fault;
    fault.file = command.value("file", "");
    fault.on = meaning_of(command.value("on", ""), operations);
    fault.effect = meaning_of(command.value("effect", ""), effects);
    fault.skip = command.value("nth", uint64_t{1}) - 1;
    fault.times = command.value("times", uint64_t{1});
    fault.delay = std::chrono::milliseconds{command.value("delay_ms", int64_t{0})};
    disk.inject(std::move(fault));
  } else {
    return make_error(errc::internal, "nothing is known of " + action);
  }
  return json::object();
}

} // namespace sluice::scenario
