#include "tests/system/fixture.hpp"

#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

namespace sluice::test::stress_test {

namespace {

constexpr int thread_agents = 32;
constexpr int actor_agents = 32;

const sql_text insert{"INSERT INTO log (agent, n) VALUES (?, ?)"};
const sql_text newest{"SELECT coalesce(max(n), 0) FROM log WHERE agent = ?"};

// The rows of an agent at the end, as it knows them.
struct ledger_of_agent {
  std::string name;
  std::string db;
  std::vector<int> committed;
  std::vector<int> refused;
  std::vector<std::string> request_ids;
  int stale_reads = 0;
  int odd_answers = 0;
};

write_request insert_request(const ledger_of_agent& agent, int n, bool keyed) {
  write_request request;
  request.agent = agent.name;
  request.request_id = agent.name + "/" + std::to_string(n);
  if (keyed)
    request.idempotency_key = agent.db + ":" + request.request_id;
  request.statements.push_back({insert, {agent.name, n}});
  return request;
}

// The second statement fails always, so the first must leave no trace.
write_request failing_request(const ledger_of_agent& agent, int n) {
  auto request = insert_request(agent, n, false);
  request.statements.push_back({"INSERT INTO log (agent, n) VALUES (?, NULL)", {agent.name}});
  return request;
}

bool retryable(const failure& error) { return error.code == errc::unavailable || error.code == errc::overloaded; }

void note_committed(ledger_of_agent& agent, int n, const write_result& result) {
  agent.committed.push_back(n);
  agent.request_ids.push_back(result.request_id);
}

void thread_agent(const database& db, ledger_of_agent& agent, int operations, unsigned seed) {
  std::mt19937 random{seed};
  for (int n = 1; n <= operations; ++n) {
    switch (random() % 4) {
    case 0: {
      auto failed = db.write(failing_request(agent, n));
      agent.odd_answers += failed.engaged();
      agent.refused.push_back(n);
      break;
    }
    default: {
      for (;;) {
        auto done = db.write(insert_request(agent, n, true));
        if (done) {
          note_committed(agent, n, *done);
          break;
        }
        if (!retryable(describe(done.error()))) {
          ++agent.odd_answers;
          break;
        }
      }
      if (random() % 3 == 0) {
        // A repeated write is applied once. An actor may have just been killed, so retry until there is an answer.
        auto again = db.write(insert_request(agent, n, true));
        while (!again && retryable(describe(again.error())))
          again = db.write(insert_request(agent, n, true));
        agent.odd_answers += !again || !again->replayed;
      }
    }
    }
    if (auto seen = db.read(agent.name, newest, {agent.name})) {
      auto least = agent.committed.empty() ? 0 : agent.committed.back();
      agent.stale_reads += *seen->rows->at(0, 0).integer() < least;
    } else {
      agent.odd_answers += !retryable(describe(seen.error()));
    }
  }
}

// An agent that is an actor: sends keyed writes one after the other, and reads its own rows in between.
struct actor_agent {
  database db;
  ledger_of_agent* agent;
  int operations;

  void write(caf::event_based_actor* self, int n) {
    if (n > operations)
      return;
    db.write(self, insert_request(*agent, n, true))
      .then(
        [this, self, n](const write_result& done) {
          note_committed(*agent, n, done);
          read(self, n);
        },
        [this, self, n](const caf::error& error) {
          if (retryable(describe(error)))
            return write(self, n);
          ++agent->odd_answers;
        });
  }

  void read(caf::event_based_actor* self, int n) {
    read_request request;
    request.agent = agent->name;
    request.query = {newest, {agent->name}};
    db.read(self, request)
      .then(
        [this, self, n](const read_result& seen) {
          agent->stale_reads += *seen.rows->at(0, 0).integer() < n;
          write(self, n + 1);
        },
        [this, self, n](const caf::error& error) {
          agent->odd_answers += !retryable(describe(error));
          write(self, n + 1);
        });
  }
};

// Kills one actor after the other, each as soon as the last one's place has been taken again, until the load is over
// and `at_least` have been killed. False when a place was not taken again within a minute.
bool kill_actors(broker& host, const std::vector<std::string>& dbs, const std::atomic<bool>& load_is_over, int at_least,
                 int at_most) {
  std::mt19937 random{7};
  auto& actors = host.actors();
  for (int kills = 0; (!load_is_over || kills < at_least) && kills < at_most; ++kills) {
    auto before = actors.restarts.load();
    switch (random() % 4) {
    case 0: caf::anon_send_exit(actors.cache(), caf::exit_reason::kill); break;
    case 1: caf::anon_send_exit(actors.audit(), caf::exit_reason::kill); break;
    default: {
      auto route = actors.context(dbs[random() % dbs.size()]).route();
      if (!route)
        return false;
      caf::anon_send_exit(route->writer, caf::exit_reason::kill);
    }
    }
    auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes{1};
    while (actors.restarts.load() == before) {
      if (std::chrono::steady_clock::now() > give_up)
        return false;
      std::this_thread::yield();
    }
  }
  return true;
}

void check_against_file(const std::filesystem::path& root, const ledger_of_agent& agent) {
  auto file = root / agent.db;
  auto where = " FROM log WHERE agent = '" + agent.name + "'";
  INFO(agent.name << " in " << agent.db);
  auto rows = column_of(file, "SELECT n" + where + " ORDER BY n");
  std::vector<int64_t> expected{agent.committed.begin(), agent.committed.end()};
  std::vector<int64_t> present;
  for (const auto& row : rows)
    present.push_back(*row.integer());
  CHECK(present == expected);
  CHECK(agent.stale_reads == 0);
  CHECK(agent.odd_answers == 0);
}

std::map<std::string, int> committed_in_audit(const broker& host) {
  std::map<std::string, int> result;
  audit_query query;
  for (;;) {
    auto page = must(host.audit(query));
    for (const auto& record : page.records) {
      query.after_seq = record.seq;
      if (record.type == request_type::write && record.status == "committed")
        ++result[record.db + " " + record.request_id];
    }
    if (page.records.empty())
      return result;
  }
}

} // namespace

TEST_CASE("64 agents on 3 databases lose no write and read nothing stale while actors are killed", "[system]") {
  temp_dir folder;
  std::vector<std::string> dbs{"a.db", "b.db", "c.db"};
  std::vector<ledger_of_agent> agents(thread_agents + actor_agents);
  {
    // However many are killed, none is killed too often.
    auto host = open_broker(folder.path(), [](broker_config& cfg) {
      cfg.restart_limit = 1'000;
      cfg.restart_window = std::chrono::milliseconds{1};
    });
    std::vector<database> handles;
    for (const auto& name : dbs) {
      handles.push_back(must(host.open_database(name)));
      must(handles.back().write("host", "CREATE TABLE log (agent TEXT NOT NULL, n INTEGER NOT NULL)"));
    }
    std::vector<std::thread> threads;
    caf::scoped_actor observer{host.system()};
    std::vector<std::unique_ptr<actor_agent>> actors;
    for (size_t i = 0; i < agents.size(); ++i) {
      auto& agent = agents[i];
      agent.name = "agent-" + std::to_string(i);
      agent.db = dbs[i % dbs.size()];
      auto& db = handles[i % dbs.size()];
      if (i < thread_agents)
        threads.emplace_back([&, i] { thread_agent(db, agent, soak(250), static_cast<unsigned>(i)); });
      else {
        actors.push_back(std::make_unique<actor_agent>(actor_agent{db, &agent, soak(250)}));
        observer->spawn<caf::monitored>(
          [result = actors.back().get()](caf::event_based_actor* self) { result->write(self, 1); });
      }
    }
    std::atomic<bool> stop{false};
    bool all_replaced = false;
    std::thread killer{[&] { all_replaced = kill_actors(host, dbs, stop, 20, soak(60)); }};
    for (auto& thread : threads)
      thread.join();
    for (size_t i = 0; i < actors.size(); ++i)
      observer->receive([](const caf::down_msg&) {});
    stop = true;
    killer.join();
    CHECK(all_replaced);
    CHECK(host.actors().restarts >= 20);
  }
  for (const auto& agent : agents)
    check_against_file(folder.path(), agent);
  for (const auto& name : dbs)
    require_sound(folder.path() / name);

  // Records that the killed audit actors had not written are completed from the ledgers.
  auto host = open_broker(folder.path());
  for (const auto& name : dbs)
    must(host.open_database(name));
  CHECK(must(host.verify_audit()).intact());
  auto audited = committed_in_audit(host);
  for (const auto& agent : agents)
    for (const auto& id : agent.request_ids) {
      INFO(agent.db << " " << id);
      CHECK(audited[agent.db + " " + id] == 1);
    }
}

} // namespace sluice::test::stress_test
