#include "actors/buffer/buffer.hpp"

#include "actors/buffer/buffer_engine.hpp"
#include "actors/shared/deadline_watch.hpp"
#include "actors/shared/reply.hpp"
#include "actors/shared/unrecorded_requests.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace sluice {

struct buffer_state {
  buffer_state(buffer_actor::pointer me, buffer_dependencies dependencies);

  using ok_promise = caf::typed_response_promise<caf::ok_atom>;

  // Makes a reply that records the request in the audit when it is refused and, if `always`, also when it is done.
  template <class Result, class Request>
  reply<Result> recorded(caf::typed_response_promise<Result> promise, request_type type, const std::string& db,
                         const Request& request, bool always) const;

  void apply_effects();
  void send(const std::string& db, write_request request);
  void refused(const std::string& db, caf::error error);
  void read_schema(const std::string& db, const std::string& table);
  void read_row(buffer_engine::row_query query);
  void quiesce(const std::string& db, const caf::strong_actor_ptr& writer, reply<flush_report> to);
  void resume(const std::string& db);
  void writer_ended(const caf::actor_addr& writer);
  void end(const caf::error& error);

  buffer_actor::pointer self;
  buffer_dependencies parts;
  buffer_engine engine;
  // The writers that are about to change the schema of their databases.
  std::map<std::string, caf::actor_addr> changing;
  std::vector<ok_promise> awaiting_close;
  static inline const char* name = "buffer";
};

namespace {

buffer_engine_settings engine_settings(const buffer_dependencies& parts) {
  return {parts.settings, parts.journal, parts.reads, parts.close_within, parts.seed};
}

} // namespace

buffer_actor::behavior_type buffer(buffer_actor::stateful_pointer<hidden_state<buffer_state>> self,
                                   std::shared_ptr<buffer_dependencies> parts) {
  auto& state = self->state.create(self, std::move(*parts));
  state.apply_effects();
  self->set_down_handler([&state](const caf::down_msg& down) { state.writer_ended(down.source); });
  return {
    [self, &state](buffer_put& operation) -> caf::result<buffer_receipt> {
      auto promise = self->make_response_promise<buffer_receipt>();
      auto to = state.recorded(promise, request_type::buffer_put, operation.row.db, operation, false);
      state.engine.put(std::move(operation), std::move(to));
      state.apply_effects();
      return promise;
    },
    [self, &state](buffer_get& request) -> caf::result<buffered_row> {
      auto promise = self->make_response_promise<buffered_row>();
      auto to = state.recorded(promise, request_type::buffer_get, request.row.db, request, false);
      state.engine.get(std::move(request), std::move(to));
      state.apply_effects();
      return promise;
    },
    [self, &state](const flush_request& request) -> caf::result<flush_report> {
      auto promise = self->make_response_promise<flush_report>();
      state.engine.flush(request, state.recorded(promise, request_type::flush, request.db, request, true));
      state.apply_effects();
      return promise;
    },
    [&state](const rejected_query& query) -> caf::result<rejected_page> { return state.engine.list(query); },
    [self, &state](const rejected_decision& decision) -> caf::result<uint64_t> {
      auto promise = self->make_response_promise<uint64_t>();
      auto type = decision.discard ? request_type::buffer_discard : request_type::buffer_requeue;
      state.engine.decide(decision, state.recorded(promise, type, {}, decision, true));
      state.apply_effects();
      return promise;
    },
    [self, &state](quiesce_atom, const std::string& db) -> caf::result<flush_report> {
      // Creating the promise clears the sender.
      auto writer = self->current_sender();
      auto promise = self->make_response_promise<flush_report>();
      state.quiesce(db, writer, reply<flush_report>{promise});
      return promise;
    },
    [&state](resume_atom, const std::string& db) { state.resume(db); },
    [&state](const invalidation& change) {
      const auto& tables = change.tables;
      if (change.everything || std::find(tables.begin(), tables.end(), "sqlite_schema") != tables.end())
        state.engine.forget_schema(change.db);
    },
    [&state](caf::tick_atom) {
      state.engine.tick();
      state.apply_effects();
    },
    [self, &state](caf::close_atom) -> caf::result<caf::ok_atom> {
      auto promise = self->make_response_promise<caf::ok_atom>();
      state.awaiting_close.push_back(promise);
      state.engine.close();
      state.apply_effects();
      return promise;
    },
  };
}

buffer_state::buffer_state(buffer_actor::pointer me, buffer_dependencies dependencies)
  : self(me), parts(std::move(dependencies)),
    engine(engine_settings(parts), std::move(parts.store), *parts.time, parts.stats->buffer) {}

template <class Result, class Request>
reply<Result> buffer_state::recorded(caf::typed_response_promise<Result> promise, request_type type,
                                     const std::string& db, const Request& request, bool always) const {
  auto origin = unrecorded(type, db, request);
  reply<Result> result{std::move(promise)};
  result.on_answer([actors = parts.actors, time = parts.time, origin, always](const caf::error* error) {
    if (!error && !always)
      return;
    auto status = error ? to_string(code_of(*error)) : std::string_view{"ok"};
    actors->audit_records().push({{record_of(origin, status, wall_us(*time))}, true});
  });
  return result;
}

void buffer_state::apply_effects() {
  auto out = engine.take_effects();
  auto deliver = [](auto& answers) {
    for (auto& answer : answers)
      answer.to.deliver(std::move(answer.result));
  };
  parts.actors->audit_records().push({std::move(out.records)});
  deliver(out.receipts);
  deliver(out.rows);
  deliver(out.reports);
  deliver(out.decisions);
  for (const auto& unknown : out.unknown_tables)
    read_schema(unknown.db, unknown.table);
  for (auto& query : out.queries)
    read_row(std::move(query));
  for (auto& write : out.writes)
    send(write.db, std::move(write.request));
  if (parts.report)
    for (const auto& [level, text] : out.warnings)
      parts.report(level, text);
  if (out.calls_tick)
    self->send(self, caf::tick_atom_v);
  if (out.tick_in)
    self->delayed_send(self, *out.tick_in, caf::tick_atom_v);
  if (out.closed)
    end(*out.closed);
}

void buffer_state::send(const std::string& db, write_request request) {
  auto& context = parts.actors->context(db);
  auto is_closing = engine.is_closing();
  auto route = is_closing ? context.last_route() : context.route();
  if (!route && !is_closing && !context.serving() && !context.last_route()) {
    // The database may not have been opened yet.
    self->request(parts.actors->supervisor(), caf::infinite, caf::open_atom_v, db)
      .then([this, db, request](caf::ok_atom) { send(db, request); },
            [this, db](caf::error& error) { refused(db, std::move(error)); });
    return;
  }
  if (!route)
    return refused(db, std::move(route.error()));
  request.received = parts.time->now();
  auto admitted = route->queue->admit(request, request.received + parts.settings.write_deadline);
  if (admitted.refused)
    return refused(db, make_error(std::move(*admitted.refused)));
  if (admitted.expire_at)
    watch_deadline(*parts.actors, *parts.time, db, *admitted.expire_at);
  auto ticket = request.ticket;
  auto answer = self->request(route->writer, caf::infinite, std::move(request));
  ticket->answer_to(caf::strong_actor_ptr{self->ctrl()}, answer.id());
  answer.then(
    [this, db](write_result& result) {
      engine.written(db, std::move(result));
      apply_effects();
    },
    [this, db](caf::error& error) { refused(db, std::move(error)); });
}

void buffer_state::refused(const std::string& db, caf::error error) {
  engine.written(db, std::move(error));
  apply_effects();
}

void buffer_state::read_schema(const std::string& db, const std::string& table) {
  auto answer = [this, db, table](caf::expected<read_result> result) {
    engine.schema_read(db, table, std::move(result));
    apply_effects();
  };
  auto ask = [this, db, table, answer](caf::ok_atom) {
    // Subscribes before reading the schema, so that no change is missed.
    parts.actors->context(db).listen(caf::actor_cast<invalidation_listener>(self));
    self->request(parts.actors->cache(), caf::infinite, engine.schema_query(db, table))
      .then([answer](read_result& result) { answer(std::move(result)); },
            [answer](caf::error& error) { answer(std::move(error)); });
  };
  self->request(parts.actors->supervisor(), caf::infinite, find_atom{}, db).then(ask, [answer](caf::error& error) {
    answer(std::move(error));
  });
}

void buffer_state::read_row(buffer_engine::row_query query) {
  auto answer = [this, id = query.lookup_id](caf::expected<read_result> result) {
    engine.row_read(id, result);
    apply_effects();
  };
  self->request(parts.actors->cache(), caf::infinite, std::move(query.request))
    .then([answer](read_result& result) { answer(std::move(result)); },
          [answer](caf::error& error) { answer(std::move(error)); });
}

void buffer_state::quiesce(const std::string& db, const caf::strong_actor_ptr& writer, reply<flush_report> to) {
  engine.quiesce(db, std::move(to));
  if (engine.is_quiet(db) && writer && changing[db] != writer->address()) {
    changing[db] = writer->address();
    // If the writer fails meanwhile, it never sends `resume`.
    self->monitor(writer);
  }
  apply_effects();
}

void buffer_state::resume(const std::string& db) {
  if (auto found = changing.find(db); found != changing.end()) {
    self->demonitor(found->second);
    changing.erase(found);
  }
  engine.resume(db);
  apply_effects();
}

void buffer_state::writer_ended(const caf::actor_addr& writer) {
  std::vector<std::string> names;
  for (const auto& [db, known] : changing)
    if (known == writer)
      names.push_back(db);
  for (const auto& db : names)
    resume(db);
}

void buffer_state::end(const caf::error& error) {
  for (auto& promise : std::exchange(awaiting_close, {}))
    error ? promise.deliver(error) : promise.deliver(caf::ok_atom_v);
  self->quit();
}

} // namespace sluice
