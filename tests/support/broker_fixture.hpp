#pragma once

#include "actors/audit/audit.hpp"
#include "actors/cache/cache.hpp"
#include "actors/reader/reader.hpp"
#include "actors/shared/deadline_watch.hpp"
#include "actors/supervisor/supervisor.hpp"
#include "actors/writer/writer.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/fake_audit_store.hpp"
#include "tests/support/group_fixture.hpp"
#include "tests/support/read_fixture.hpp"

namespace sluice::test {

/// A supervisor with all its actors on fakes: a disk per database, one audit file.
struct broker_fixture : actor_fixture {
  std::map<std::string, fake_disk> disks;
  fake_audit_file file;
  fake_view view;
  std::vector<std::string> prepared;
  uint64_t writers = 0;
  uint64_t caches = 0;
  uint64_t audits = 0;
  std::map<std::string, std::vector<reader_actor>> readers;
  /// The answer of `find` for a database whose file must exist.
  std::function<caf::error(const std::string&)> find = [](const std::string&) { return caf::error{}; };
  /// Called before an actor is created.
  std::function<void(std::string_view kind)> on_spawn = [](std::string_view) {};
  std::shared_ptr<result_cache> hits = std::make_shared<result_cache>(result_cache_settings{});
  std::shared_ptr<actor_stats> stats = std::make_shared<actor_stats>();
  supervisor_actor aut;

  broker_fixture() {
    supervisor_dependencies parts;
    parts.actors = actors;
    parts.time = &time;
    parts.bounds = [](const std::string&) { return database_bounds{{}, 2}; };
    parts.find = [this](const std::string& db, bool must_exist) { return must_exist ? find(db) : caf::error{}; };
    parts.spawn.prepare = [this](const std::string& db) { prepared.push_back(db); };
    parts.spawn.writer = [this](database_context& context, std::shared_ptr<write_quota> queue) {
      on_spawn("writer");
      ++writers;
      auto answer = std::make_shared<writer_dependencies>();
      answer->store = std::make_unique<fake_write_store>(disks[context.name()], time);
      answer->context = &context;
      answer->queue = std::move(queue);
      answer->actors = actors;
      answer->time = &time;
      answer->stats = stats;
      return sys.spawn(writer, answer);
    };
    parts.spawn.reader = [this](database_context& context) {
      on_spawn("reader");
      auto result = std::make_shared<reader_dependencies>();
      result->store = std::make_unique<fake_read_store>(view);
      result->time = &time;
      result->stats = stats;
      return readers[context.name()].emplace_back(sys.spawn(reader, result));
    };
    parts.spawn.cache = [this] {
      on_spawn("cache");
      ++caches;
      cache_dependencies dependencies;
      dependencies.hits = hits;
      dependencies.actors = actors;
      dependencies.time = &time;
      dependencies.misses = std::make_shared<std::atomic<uint64_t>>(0);
      dependencies.joined = std::make_shared<std::atomic<uint64_t>>(0);
      dependencies.stats = stats;
      return sys.spawn(cache, dependencies);
    };
    parts.spawn.audit = [this] {
      on_spawn("audit");
      ++audits;
      auto open = [this]() -> caf::expected<std::unique_ptr<audit_store>> {
        return std::unique_ptr<audit_store>{std::make_unique<fake_audit_store>(file)};
      };
      return sys.spawn(audit, audit_dependencies{open, actors, stats, &time});
    };
    parts.spawn.deadlines = [this] {
      on_spawn("deadline watch");
      return sys.spawn(deadline_watch, actors, std::shared_ptr<const clock>{std::shared_ptr<void>{}, &time});
    };
    aut = sys.spawn(supervisor, parts);
    actors->set(aut);
    run();
  }

  ~broker_fixture() {
    file = {};
    for (auto& [name, disk] : disks) {
      disk.checkpoint_throws = false;
      disk.on_close = [] {};
    }
    ask<caf::ok_atom>(aut, caf::close_atom_v);
    run();
    kill(aut);
    readers.clear();
    actors->clear();
    run();
  }

  answer<caf::ok_atom> open(const std::string& db) { return ask<caf::ok_atom>(aut, caf::open_atom_v, db); }
  answer<caf::ok_atom> find_database(const std::string& db) { return ask<caf::ok_atom>(aut, find_atom{}, db); }
  answer<caf::ok_atom> close() { return ask<caf::ok_atom>(aut, caf::close_atom_v); }

  writer_actor writer_of(const std::string& db) { return actors->context(db).route()->writer; }

  answer<write_result> write(const std::string& db, std::string agent, std::string sql = "put t k v") {
    auto request = a_write(std::move(agent), {std::move(sql)});
    request.db = db;
    return ask<write_result>(writer_of(db), request);
  }

  answer<read_result> read(const std::string& db, std::string id, std::string sql) {
    auto request = a_read(std::move(id), std::move(sql));
    request.db = db;
    return ask<read_result>(actors->cache(), request);
  }

  bool works(const std::string& db) {
    auto agent = "check" + std::to_string(checks_++);
    auto a = write(db, agent);
    auto b = read(db, agent, agent);
    run();
    return ok(a) && ok(b);
  }

private:
  uint64_t checks_ = 0;
};

} // namespace sluice::test
