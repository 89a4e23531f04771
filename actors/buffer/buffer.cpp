#include "actors/buffer/buffer.hpp"

#include "actors/shared/unrecorded_requests.hpp"

#include <algorithm>

namespace sluice {

namespace {

// What one operation may weigh, as a part of all that may wait: some have to fit, and a writer's queue has to take it.
constexpr uint64_t share_of_one = 8;

void deliver_error(reply<buffer_receipt>& to, const caf::error& why) { to.deliver(caf::error{why}); }

caf::error cancelled_while_waiting() {
  return make_error(errc::cancelled, "the operation was cancelled while it waited for room in the write-behind buffer");
}

template <class Request> unrecorded_request origin_of(request_type type, const std::string& db, const Request& x) {
  unrecorded_request result;
  result.type = type;
  result.agent = x.agent;
  result.db = db;
  result.peer = x.peer;
  return result;
}

} // namespace

buffer_actor::behavior_type buffer(buffer_actor::stateful_pointer<buffer_state> self,
                                   std::shared_ptr<buffer_dependencies> parts) {
  self->state.start(std::move(*parts));
  self->set_down_handler([self](const caf::down_msg& x) { self->state.writer_ended(x.source); });
  return {
    [self](buffer_put& x) -> caf::result<buffer_receipt> {
      auto promise = self->make_response_promise<buffer_receipt>();
      auto& state = self->state;
      auto to = state.recorded(promise, origin_of(request_type::buffer_put, x.row.db, x), false);
      state.put(std::move(x), std::move(to));
      return promise;
    },
    [self](buffer_get& x) -> caf::result<buffered_row> {
      auto promise = self->make_response_promise<buffered_row>();
      auto& state = self->state;
      auto to = state.recorded(promise, origin_of(request_type::buffer_get, x.row.db, x), false);
      state.get(std::move(x), std::move(to));
      return promise;
    },
    [self](const flush_request& x) -> caf::result<flush_report> {
      auto promise = self->make_response_promise<flush_report>();
      auto to = std::make_shared<reply<flush_report>>(
        self->state.recorded(promise, origin_of(request_type::flush, x.db, x), true));
      self->state.flush(x, [to](const flush_report& report) { to->deliver(flush_report{report}); });
      return promise;
    },
    [self](const rejected_query& x) -> caf::result<rejected_page> { return self->state.store->list(x); },
    [self](const rejected_decision& x) -> caf::result<uint64_t> {
      auto promise = self->make_response_promise<uint64_t>();
      auto type = x.discard ? request_type::buffer_discard : request_type::buffer_requeue;
      self->state.decide(x, self->state.recorded(promise, origin_of(type, {}, x), true));
      return promise;
    },
    [self](quiesce_atom, const std::string& db) -> caf::result<flush_report> {
      // The promise takes it.
      auto writer = self->current_sender();
      auto promise = self->make_response_promise<flush_report>();
      auto to = std::make_shared<reply<flush_report>>(promise);
      self->state.quiesce(db, writer, [to](const flush_report& report) { to->deliver(flush_report{report}); });
      return promise;
    },
    [self](resume_atom, const std::string& db) { self->state.resume(db); },
    [self](const invalidation& x) { self->state.invalidate(x); },
    [self](caf::tick_atom) { self->state.tick(); },
    [self](caf::close_atom) -> caf::result<caf::ok_atom> {
      auto promise = self->make_response_promise<caf::ok_atom>();
      self->state.close(promise);
      return promise;
    },
  };
}

void buffer_state::start(buffer_dependencies x) {
  parts = std::move(x);
  store = std::make_unique<retrying_buffer_store>(std::move(parts.store));
  rows = std::make_unique<write_behind>(parts.settings, *parts.time, parts.seed);
  parts.stats->buffer.change([&](buffer_view& view) {
    view.status.journal = parts.journal;
    // A predecessor that failed has taken them with it.
    if (view.status.pending > 0 && !parts.journal)
      view.status.last_error = "the buffer failed, and " + std::to_string(view.status.pending) + " rows were lost";
  });
  if (auto why = recover())
    parts.stats->buffer.change([&](buffer_view& view) { view.status.last_error = describe(why).message; });
  publish();
  arm();
}

std::function<void(const caf::error*)> buffer_state::recorder(unrecorded_request x, bool always) const {
  return [actors = parts.actors, time = parts.time, x = std::move(x), always](const caf::error* why) {
    if (!why && !always)
      return;
    auto status = why ? to_string(code_of(*why)) : std::string_view{"ok"};
    if (auto audit = actors->audit())
      caf::anon_send(audit, audit_batch{{record_of(x, status, wall_us(*time))}, true});
  };
}

// What a journal holds comes before anything new, so nothing is taken as long as it cannot be read.
caf::error buffer_state::recover() {
  if (recovered)
    return {};
  auto content = store->recover();
  if (!content)
    return std::move(content.error());
  rows->recover(std::move(*content));
  recovered = true;
  pump_all();
  return {};
}

caf::error buffer_state::refusal() const { return make_error(errc::unavailable, "the broker is shutting down"); }

read_request buffer_state::read_of(const std::string& db, statement query, const std::string& agent) const {
  read_request x;
  x.db = db;
  x.query = std::move(query);
  x.agent = agent;
  x.limits = parts.reads;
  x.received = parts.time->now();
  return x;
}

void buffer_state::put(buffer_put x, reply<buffer_receipt> to) {
  if (closing)
    return to.deliver(refusal());
  if (auto why = recover())
    return to.deliver(std::move(why));
  // Nobody overtakes those who wait: they may be for the same row.
  waiting.empty() ? admit(std::move(x), std::move(to)) : wait_for_room(std::move(x), std::move(to));
}

void buffer_state::admit(buffer_put x, reply<buffer_receipt> to) {
  if (closing)
    return to.deliver(refusal());
  // Before its table is looked at, so that nothing overtakes what came while the schema was being changed.
  if (quiet.count(x.row.db) > 0)
    return hold(std::move(x), std::move(to));
  if (auto known = shapes.find(x.row.db, x.row.table))
    return take(*known, std::move(x), std::move(to));
  if (shapes.waiting() >= parts.settings.max_pending)
    return wait_for_room(std::move(x), std::move(to));
  auto db = x.row.db;
  auto table = x.row.table;
  auto waits = std::make_shared<std::pair<buffer_put, reply<buffer_receipt>>>(std::move(x), std::move(to));
  with_shape(db, table, [this, waits](const caf::expected<schema_cache::shape>& shape) {
    auto& [operation, answer] = *waits;
    if (!shape)
      deliver_error(answer, shape.error());
    else if (closing)
      answer.deliver(refusal());
    else
      take(**shape, std::move(operation), std::move(answer));
  });
}

void buffer_state::take(const table_schema& shape, buffer_put x, reply<buffer_receipt> to) {
  if (quiet.count(x.row.db) > 0)
    return hold(std::move(x), std::move(to));
  if (auto most = parts.settings.max_bytes / share_of_one; footprint(x) > most)
    return to.deliver(make_error(errc::too_large, "the operation has " + std::to_string(footprint(x))
                                                    + " bytes; at most " + std::to_string(most) + " are buffered"));
  auto wait = x.wait;
  auto checked = check(shape, std::move(x));
  if (!checked)
    return to.deliver(std::move(checked.error()));
  if (rows->would_merge(*checked) || rows->has_room(to_journal.size()))
    return accept(std::move(*checked), std::move(to));
  checked->put.wait = wait;
  wait_for_room(std::move(checked->put), std::move(to));
}

void buffer_state::wait_for_room(buffer_put x, reply<buffer_receipt> to) {
  if (x.cancel.cancelled())
    return to.deliver(cancelled_while_waiting());
  if (x.wait.count() > 0 && waiting.size() < parts.settings.max_pending) {
    auto until = parts.time->now() + x.wait;
    // Those who waited for the table came before those who wait here already.
    waiting.insert(ahead ? waiting.begin() + static_cast<std::ptrdiff_t>((*ahead)++) : waiting.end(),
                   waiting_put{std::move(x), std::move(to), until});
    return arm();
  }
  failure why;
  why.code = errc::overloaded;
  why.message = "the write-behind buffer is full";
  parts.stats->buffer.change([&](buffer_view& view) {
    ++view.status.overloaded;
    auto usual = std::chrono::milliseconds{view.status.last_flush_ms} * 2;
    auto most = std::max(parts.settings.interval, std::chrono::milliseconds{10});
    why.retry_after_ms = static_cast<uint32_t>(std::clamp(usual, std::chrono::milliseconds{10}, most).count());
  });
  to.deliver(make_error(std::move(why)));
}

void buffer_state::accept(checked_operation x, reply<buffer_receipt> to) {
  x.put.wait = {};
  if (!parts.journal)
    return keep(std::move(x), std::move(to));
  // Everything that lies in the mailbox by then goes to disk together.
  if (to_journal.empty())
    self->send(self, caf::tick_atom_v);
  to_journal.push_back({std::move(x), std::move(to)});
}

void buffer_state::keep(checked_operation x, reply<buffer_receipt> to) {
  auto db = x.put.row.db;
  auto journaled = x.seq != 0;
  auto merged = rows->add(std::move(x));
  parts.stats->buffer.change([&](buffer_view& view) {
    ++view.status.puts;
    view.status.merged += merged ? 1 : 0;
  });
  // Whoever has the answer finds it in the status, too.
  publish();
  to.deliver(buffer_receipt{rows->pending(), journaled});
  rows->has_room(0) ? pump(db) : pump_all();
  arm();
}

void buffer_state::write_journal() {
  if (to_journal.empty())
    return;
  auto group = std::exchange(to_journal, {});
  std::vector<buffer_put> puts;
  for (const auto& x : group)
    puts.push_back(x.operation.put);
  auto first = store->append(puts);
  for (size_t i = 0; i < group.size(); ++i) {
    auto& [operation, to] = group[i];
    if (!first) {
      deliver_error(to, first.error());
      continue;
    }
    operation.seq = *first + i;
    keep(std::move(operation), std::move(to));
  }
}

void buffer_state::let_in() {
  while (!waiting.empty() && rows->has_room(to_journal.size()) && shapes.waiting() < parts.settings.max_pending) {
    auto next = std::move(waiting.front());
    waiting.pop_front();
    auto left = next.until - parts.time->now();
    next.put.wait = std::max(std::chrono::milliseconds{0}, std::chrono::ceil<std::chrono::milliseconds>(left));
    admit(std::move(next.put), std::move(next.to));
  }
}

void buffer_state::invalidate(const invalidation& x) {
  if (x.everything || std::find(x.tables.begin(), x.tables.end(), "sqlite_schema") != x.tables.end())
    shapes.forget(x.db);
}

// Its client may be gone. What has been taken stays.
void buffer_state::drop_cancelled() {
  auto drop = [](auto& puts) {
    std::erase_if(puts, [](waiting_put& x) {
      if (!x.put.cancel.cancelled())
        return false;
      x.to.deliver(cancelled_while_waiting());
      return true;
    });
  };
  drop(waiting);
  for (auto& [db, puts] : held_puts)
    drop(puts);
}

void buffer_state::tick() {
  auto now = parts.time->now();
  if (armed_for <= now)
    armed_for = clock::steady::max();
  write_journal();
  drop_cancelled();
  std::deque<waiting_put> late;
  for (auto& x : std::exchange(waiting, {}))
    (x.until <= now ? late : waiting).push_back(std::move(x));
  for (auto& x : late) {
    x.put.wait = {};
    wait_for_room(std::move(x.put), std::move(x.to));
  }
  pump_all();
  publish();
  arm();
  if (closing)
    end_if_done();
}

void buffer_state::arm() {
  auto at = rows->next_due();
  for (const auto& x : waiting)
    at = std::min(at, x.until);
  if (closing)
    at = std::min(at, close_by);
  if (at >= armed_for)
    return;
  armed_for = at;
  self->delayed_send(self, std::max(clock::steady::duration{0}, at - parts.time->now()), caf::tick_atom_v);
}

void buffer_state::publish() {
  parts.stats->buffer.change([this](buffer_view& view) { show_pending(view); });
}

void buffer_state::show_pending(buffer_view& view) const {
  rows->describe(view);
  view.status.set_aside = store->count();
}

} // namespace sluice
