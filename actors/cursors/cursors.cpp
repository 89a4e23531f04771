#include "actors/cursors/cursors.hpp"

#include "actors/shared/reply.hpp"
#include "actors/shared/result_cache.hpp"

#include <algorithm>
#include <exception>
#include <map>
#include <optional>
#include <utility>

namespace sluice {

struct cursors_state {
  using page_reply = reply<cursor_page>;

  cursors_state(cursors_actor::pointer me, cursors_dependencies dependencies);

  void open(open_cursor message, page_reply to);
  void next(uint64_t id, page_reply to);
  void page_made(page_done& done);
  void tick();
  void drain();
  void close(caf::typed_response_promise<caf::ok_atom> to);
  void finish(cursor_table::ending end);
  void finish_all(std::vector<cursor_table::ending> all);
  void reader_ended(const caf::actor_addr& reader);

  cursors_actor::pointer self;
  cursors_dependencies parts;
  cursor_table table;
  // The clients that wait for a page, by cursor.
  std::map<uint64_t, page_reply> replies;
  // Readers that have not ended, including those of ended cursors.
  std::map<uint64_t, cursor_reader_actor> readers;
  // The reason why no further cursor is opened.
  std::optional<failure> closed;
  static inline const char* name = "cursors";

private:
  void run_pages();
  void schedule_next_tick();
  void record(const cursor_table::ending& end) const;
  void quit_if_done();

  std::optional<clock::steady> armed_;
  std::optional<caf::typed_response_promise<caf::ok_atom>> on_closed_;
};

namespace {

using std::chrono::milliseconds;

// Numbers in JSON are exact up to here.
constexpr uint64_t max_first_id = 1ULL << 52;

failure draining() {
  return make_failure(errc::unavailable, "the broker ends, and its cursors with it: run the query again");
}

} // namespace

cursors_actor::behavior_type cursors(cursors_actor::stateful_pointer<hidden_state<cursors_state>> self,
                                     cursors_dependencies parts) {
  self->state.create(self, std::move(parts));
  self->set_down_handler([self](caf::down_msg& message) { self->state->reader_ended(message.source); });
  return {
    [self](open_cursor& message) -> caf::result<cursor_page> {
      auto promise = self->make_response_promise<cursor_page>();
      self->state->open(std::move(message), reply<cursor_page>{promise});
      return promise;
    },
    [self](const next_page& message) -> caf::result<cursor_page> {
      auto promise = self->make_response_promise<cursor_page>();
      self->state->next(message.cursor, reply<cursor_page>{promise});
      return promise;
    },
    [self](const close_cursor& message) {
      auto ended = self->state->table.end(message.cursor, std::nullopt);
      auto found = ended.has_value();
      if (found)
        self->state->finish(std::move(*ended));
      return found;
    },
    [self](const end_cursors& message) {
      self->state->finish_all(self->state->table.end_all(&message.db, message.why, false));
    },
    [self](page_done& done) { self->state->page_made(done); },
    [self](caf::tick_atom) { self->state->tick(); },
    [self](drain_atom) { self->state->drain(); },
    [self](running_atom) { return self->state->table.list(self->state->parts.time->now()); },
    [self](caf::close_atom) -> caf::result<caf::ok_atom> {
      auto promise = self->make_response_promise<caf::ok_atom>();
      self->state->close(promise);
      return promise;
    },
  };
}

cursors_state::cursors_state(cursors_actor::pointer me, cursors_dependencies dependencies)
  : self(me), parts(std::move(dependencies)), table(parts.limits, parts.seed % max_first_id + 1) {}

void cursors_state::open(open_cursor message, page_reply to) {
  auto error = closed ? closed : table.capacity_error(message.request.agent, readers.size());
  if (!message.ended.possible())
    message.ended = message.request.cancel.possible() ? message.request.cancel.derive() : cancel_token::make();
  cursor_reader_actor reader;
  if (!error)
    try {
      reader = parts.spawn_reader(message.request.db, message.request.query);
    } catch (const std::exception&) {
      error.emplace();
      error->code = errc::unavailable;
      error->message = "there is not enough memory for a cursor: try again later";
    }
  if (error) {
    cursor_table::cursor refused;
    refused.opened = message.request.received;
    error->request_id = message.request.request_id;
    to.deliver(make_error(*error));
    refused.opening = std::move(message);
    return record({0, std::move(refused), std::move(error)});
  }
  auto id = table.open(std::move(message), parts.time->now());
  self->monitor(reader);
  readers.emplace(id, std::move(reader));
  replies.emplace(id, std::move(to));
  run_pages();
}

void cursors_state::next(uint64_t id, page_reply to) {
  if (auto error = table.ask(id, parts.time->now()))
    return to.deliver(make_error(std::move(*error)));
  replies.insert_or_assign(id, std::move(to));
  run_pages();
}

void cursors_state::run_pages() {
  finish_all(table.end_due(parts.time->now()));
  for (const auto& start : table.take_starts(parts.time->now())) {
    const auto& opening = table.find(start.id)->opening;
    auto limits = opening.request.limits;
    limits.timeout = start.timeout;
    self->send(readers.at(start.id), run_page{start.id, limits, opening.ended});
  }
  schedule_next_tick();
}

void cursors_state::page_made(page_done& done) {
  auto id = done.page.cursor;
  table.freed(id);
  auto* cursor = table.find(id);
  auto to = replies.find(id);
  if (!cursor || to == replies.end())
    return run_pages();
  auto now = parts.time->now();
  if (done.error && code_of(done.error) == errc::busy && table.try_later(id, now))
    return run_pages();
  // A client without a page does not know the cursor's number either.
  auto may_ask_again = code_of(done.error) == errc::overloaded && cursor->pages > 0;
  if (done.error && !may_ask_again) {
    finish(*table.end(id, describe(done.error)));
    return run_pages();
  }
  auto answer = std::move(to->second);
  replies.erase(to);
  done.page.as_of_seq = cursor->opening.as_of_seq;
  table.answered(id, done.error ? 0 : done.page.rows->size(), now);
  auto is_last = !done.error && done.page.is_last;
  if (done.error)
    answer.deliver(std::move(done.error));
  else
    answer.deliver(std::move(done.page));
  if (is_last)
    finish(*table.end(id, std::nullopt));
  else if (closed)
    finish(*table.end(id, closed));
  run_pages();
}

void cursors_state::tick() {
  // Clients that cancel send this message, too.
  if (armed_ && *armed_ <= parts.time->now() + milliseconds{1})
    armed_.reset();
  run_pages();
}

void cursors_state::drain() {
  closed = draining();
  finish_all(table.end_all(nullptr, *closed, true));
}

void cursors_state::close(caf::typed_response_promise<caf::ok_atom> to) {
  closed = draining();
  on_closed_ = std::move(to);
  finish_all(table.end_all(nullptr, *closed, false));
  quit_if_done();
}

void cursors_state::finish_all(std::vector<cursor_table::ending> all) {
  for (auto& end : all)
    finish(std::move(end));
}

// A pending request for a page is answered now, whatever its reader does.
void cursors_state::finish(cursor_table::ending end) {
  end.was.opening.ended.cancel();
  if (auto to = replies.find(end.id); to != replies.end()) {
    auto answer = std::move(to->second);
    replies.erase(to);
    auto error = end.error ? *end.error : make_failure(errc::cancelled, "the cursor was closed");
    error.request_id = end.was.opening.request.request_id;
    answer.deliver(make_error(std::move(error)));
  }
  if (auto reader = readers.find(end.id); reader != readers.end())
    self->send(reader->second, caf::close_atom_v);
  record(end);
}

void cursors_state::reader_ended(const caf::actor_addr& reader) {
  auto found =
    std::find_if(readers.begin(), readers.end(), [&](const auto& entry) { return entry.second.address() == reader; });
  if (found == readers.end())
    return;
  auto id = found->first;
  readers.erase(found);
  table.freed(id);
  auto error = make_failure(errc::unavailable, "the reader of this cursor has failed: run the query again");
  if (auto lost = table.end(id, std::move(error)))
    finish(std::move(*lost));
  run_pages();
  quit_if_done();
}

void cursors_state::quit_if_done() {
  if (!on_closed_ || !readers.empty())
    return;
  on_closed_->deliver(caf::ok_atom_v);
  self->quit();
}

void cursors_state::schedule_next_tick() {
  auto at = table.next_deadline();
  if (!at || (armed_ && *armed_ <= *at))
    return;
  armed_ = at;
  auto delay = std::chrono::ceil<milliseconds>(*at - parts.time->now());
  self->delayed_send(self, std::max(delay, milliseconds{0}), caf::tick_atom_v);
}

void cursors_state::record(const cursor_table::ending& end) const {
  const auto& request = end.was.opening.request;
  audit_record r;
  r.ts_us = wall_us(*parts.time);
  r.request_id = request.request_id;
  r.agent = request.agent;
  r.db = request.db;
  r.type = request_type::cursor_open;
  r.key = read_fingerprint(request.query);
  r.status = end.error ? to_string(end.error->code) : "ok";
  r.commit_seq = end.was.opening.as_of_seq;
  auto latency = std::chrono::duration_cast<std::chrono::microseconds>(parts.time->now() - request.received);
  r.latency_us = static_cast<uint64_t>(std::max<int64_t>(latency.count(), 0));
  r.correlation_id = request.correlation_id;
  r.peer = request.peer;
  parts.actors->audit_records().push({{std::move(r)}, end.id == 0});
}

} // namespace sluice
