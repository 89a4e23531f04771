#pragma once

#include "actors/buffer/buffer.hpp"
#include "actors/shared/reply.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/fake_buffer_store.hpp"
#include "tests/support/plain_database.hpp"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sluice::test {

/// A database whose writer answers as a test wants it to.
struct scripted_database {
  explicit scripted_database(const std::vector<std::string>& schema) : file(schema) {}

  struct fault {
    failure error;
    /// Whether the request has been executed although it failed.
    bool done = false;
  };

  caf::expected<write_result> write(const write_request& request) {
    requests.push_back(request);
    if (faults.empty())
      return execute(request);
    auto next = faults.front();
    faults.pop_front();
    if (next.done)
      static_cast<void>(execute(request));
    return make_error(next.error);
  }

  caf::expected<write_result> execute(const write_request& request) {
    auto known = keys.find(request.idempotency_key);
    if (known != keys.end())
      return known->second;
    if (auto error = file.execute(request.statements))
      return make_error(*error);
    write_result result;
    result.commit_seq = ++commits;
    keys[request.idempotency_key] = result;
    keys[request.idempotency_key].replayed = true;
    return result;
  }

  void fail(errc code, outcome result = outcome::not_committed, bool done = false) {
    fault f;
    f.error.code = code;
    f.error.outcome = result;
    f.error.message = "scripted";
    f.done = done;
    faults.push_back(f);
  }

  plain_database file;
  std::vector<write_request> requests;
  std::deque<fault> faults;
  std::map<std::string, write_result> keys;
  uint64_t commits = 0;
  /// While this is set, requests are not answered, and reads are answered late, with the rows at the time of the read.
  bool holds = false;
  bool holds_reads = false;
  std::vector<write_request> held;
};

/// The promises of requests that are held back.
struct scripted_writer_state {
  std::vector<reply<write_result>> held;
  static inline const char* name = "writer";
};

inline writer_actor::behavior_type scripted_writer(writer_actor::stateful_pointer<scripted_writer_state> self,
                                                   scripted_database* db) {
  return {
    [self, db](write_request& request) -> caf::result<write_result> {
      auto promise = self->make_response_promise<write_result>();
      reply<write_result> to{promise};
      if (!db->holds) {
        to.deliver(db->write(request));
      } else {
        db->held.push_back(request);
        self->state.held.push_back(std::move(to));
      }
      return promise;
    },
    [](caf::flush_atom, uint64_t) {},
    [](retry_atom) {},
    [](caf::timeout_atom) {},
    [](caf::tick_atom) {},
    [](caf::idle_atom, uint64_t) {},
    [](close_idle_atom, uint64_t) {},
    [](checkpoint_atom) {},
    [](prune_atom) {},
    // Answers the requests that are held back.
    [self, db](verify_atom) {
      auto requests = std::exchange(db->held, {});
      auto waiting = std::exchange(self->state.held, {});
      for (size_t i = 0; i < waiting.size(); ++i)
        waiting[i].deliver(db->write(requests[i]));
    },
    [](caf::close_atom) { return caf::ok_atom_v; },
  };
}

struct scripted_cache_state {
  std::vector<std::pair<reply<read_result>, caf::expected<read_result>>> held;
  static inline const char* name = "cache";
};

inline cache_actor::behavior_type scripted_cache(cache_actor::stateful_pointer<scripted_cache_state> self,
                                                 scripted_database* db) {
  auto read = [db](const statement& query) -> caf::expected<read_result> {
    auto rows = db->file.try_query(query);
    if (!rows)
      return std::move(rows.error());
    read_result result;
    result.rows = std::make_shared<const rowset>(std::move(*rows));
    return result;
  };
  return {
    [](running_atom) { return std::vector<running_request>{}; },
    [](drain_atom, uint64_t) {},
    [](quiesce_atom, const std::string&, uint64_t) { return true; },
    [](resume_atom, const std::string&) {},
    [](caf::timeout_atom) {},
    [self, db, read](read_request& request) -> caf::result<read_result> {
      auto promise = self->make_response_promise<read_result>();
      reply<read_result> to{promise};
      if (db->holds_reads)
        self->state.held.emplace_back(std::move(to), read(request.query));
      else
        to.deliver(read(request.query));
      return promise;
    },
    [](cancel_atom, const std::string&) { return false; },
    [](read_done&) {},
    [](const invalidation&) {},
    [](retry_atom) {},
    [](caf::join_atom, const std::string&, const reader_actor&) {},
    // Answers the requests that are held back.
    [self](caf::tick_atom) {
      for (auto& [to, answer] : std::exchange(self->state.held, {}))
        to.deliver(std::move(answer));
    },
    [](caf::close_atom) { return caf::ok_atom_v; },
  };
}

/// The buffer with the database `app.db` behind a scripted writer, everything in the thread of the test.
struct buffer_fixture : actor_fixture {
  explicit buffer_fixture(const std::vector<std::string>& schema = {"CREATE TABLE t(k INTEGER PRIMARY KEY, a, b)"})
    : db(schema) {
    settings.batch = 10;
    settings.max_pending = 100;
    actors->set(sys.spawn(scripted_cache, &db));
    actors->set(sys.spawn(audit_stub, &log, &actors->audit_records()));
    actors->set(sys.spawn(supervisor_stub, &log));
    open_writer();
  }

  ~buffer_fixture() {
    kill(aut);
    kill(writer);
    actors->clear();
    run();
  }

  void open_writer() {
    writer = sys.spawn(scripted_writer, &db);
    actors->context("app.db").open({writer, std::make_shared<write_quota>(write_quota_limits{})});
  }

  void start() {
    auto parts = std::make_shared<buffer_dependencies>();
    parts->store = std::make_unique<fake_buffer_store>(disk);
    parts->actors = actors;
    parts->time = &time;
    parts->stats = stats;
    parts->settings = settings;
    parts->journal = journal;
    parts->reads = {10'000, 8U << 20U, std::chrono::milliseconds{5'000}};
    parts->seed = ++starts * 1'000;
    parts->report = [this](log_level level, const std::string& text) { operator_messages.emplace_back(level, text); };
    aut = sys.spawn(buffer, parts);
    actors->set(aut);
    run();
  }

  void restart() {
    kill(aut);
    start();
  }

  static buffer_put a_put(buffer_operation operation, value key, std::vector<named_value> values = {},
                          std::string table = "t") {
    buffer_put result;
    result.row = {"app.db", std::move(table), {{"k", std::move(key)}}};
    result.operation = operation;
    result.values = std::move(values);
    result.agent = "alice";
    return result;
  }

  answer<buffer_receipt> send(buffer_put put) { return ask<buffer_receipt>(aut, std::move(put)); }

  answer<buffer_receipt> put(buffer_put operation) {
    auto result = send(std::move(operation));
    run();
    return result;
  }

  answer<buffer_receipt> upsert(value key, std::vector<named_value> values) {
    return put(a_put(buffer_operation::upsert, std::move(key), std::move(values)));
  }

  answer<flush_report> flush(std::string table = {}) {
    auto result = ask<flush_report>(aut, flush_request{{}, std::move(table), "alice"});
    run();
    return result;
  }

  answer<buffered_row> get(value key, std::string table = "t") {
    buffer_get get;
    get.row = {"app.db", std::move(table), {{"k", std::move(key)}}};
    get.agent = "alice";
    auto result = ask<buffered_row>(aut, get);
    run();
    return result;
  }

  answer<rejected_page> rejected() {
    auto result = ask<rejected_page>(aut, rejected_query{});
    run();
    return result;
  }

  answer<uint64_t> decide(std::vector<uint64_t> ids, bool discard) {
    auto result = ask<uint64_t>(aut, rejected_decision{std::move(ids), discard});
    run();
    return result;
  }

  answer<caf::ok_atom> close() {
    auto result = ask<caf::ok_atom>(aut, caf::close_atom_v);
    run();
    return result;
  }

  /// The writer answers the requests that it has held back.
  void release() {
    db.holds = false;
    caf::anon_send(writer, verify_atom{});
    run();
  }

  void release_reads() {
    db.holds_reads = false;
    caf::anon_send(actors->cache(), caf::tick_atom_v);
    run();
  }

  /// The writer ends without answering its requests, and another one takes its place.
  void replace_writer() {
    kill(writer);
    db.holds = false;
    db.held.clear();
    open_writer();
  }

  /// The audit records of operations, without those of calls.
  std::vector<audit_record> buffered_records() const {
    std::vector<audit_record> result;
    for (const auto& record : log.records)
      if (record.type == request_type::buffered)
        result.push_back(record);
    return result;
  }

  int64_t count(const std::string& where = "1") {
    return *db.file.query({"SELECT count(*) FROM t WHERE " + where, {}}).at(0, 0).integer();
  }

  value cell(const std::string& sql) { return db.file.query({sql, {}}).at(0, 0); }
  buffer_status status() { return stats->buffer.get().at(time.now()); }

  scripted_database db;
  fake_buffer_file disk;
  received_messages log;
  write_behind_settings settings;
  bool journal = false;
  uint64_t starts = 0;
  std::vector<std::pair<log_level, std::string>> operator_messages;
  std::shared_ptr<actor_stats> stats = std::make_shared<actor_stats>();
  writer_actor writer;
  buffer_actor aut;
};

struct started_buffer : buffer_fixture {
  started_buffer() { start(); }
  explicit started_buffer(const std::vector<std::string>& schema) : buffer_fixture(schema) { start(); }
};

/// The answer of an actor. @throws std::logic_error when there is none, or it is an error
template <class T> const T& value_of(const actor_fixture::answer<T>& answer) {
  if (!ok(answer))
    throw std::logic_error(answer->has_value() ? describe((*answer)->error()).message : "no answer");
  return ***answer;
}

} // namespace sluice::test
