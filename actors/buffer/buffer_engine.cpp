#include "actors/buffer/buffer_engine.hpp"

#include <algorithm>
#include <cassert>

namespace sluice {

namespace {

// The maximum size of one operation, as a fraction of the bound of all pending ones: several must fit, and a writer's
// queue must accept it.
constexpr uint64_t share_of_one = 8;

caf::error cancelled_while_waiting() {
  return make_error(errc::cancelled, "the operation was cancelled while it waited for room in the write-behind buffer");
}

outgoing_operation from_journal(journal_content::operation remembered, uint64_t number, clock::steady since) {
  contribution from{remembered.content.agent, remembered.content.peer, 1};
  return {std::move(remembered.content), {std::move(from)}, {remembered.seq}, number, since, true, false, true};
}

} // namespace

buffer_engine::buffer_engine(buffer_engine_settings settings, std::unique_ptr<buffer_store> store, const clock& time,
                             synchronized<buffer_view>& view)
  : settings_(std::move(settings)), time_(time), view_(view), store_(std::move(store)), ids_(settings_.seed) {
  view_.change([&](buffer_view& first_view) {
    first_view.status.journal = settings_.journal;
    // A failed predecessor has lost its pending rows.
    if (first_view.status.pending > 0 && !settings_.journal)
      first_view.status.last_error =
        "the buffer failed, and " + std::to_string(first_view.status.pending) + " rows were lost";
  });
  if (auto error = recover())
    view_.change([&](buffer_view& first_view) { first_view.status.last_error = describe(error).message; });
  publish();
  arm();
}

caf::error buffer_engine::shutting_down() { return make_error(errc::unavailable, "the broker is shutting down"); }

void buffer_engine::answer_put(reply<buffer_receipt>& to, caf::expected<buffer_receipt> result) {
  effects_.receipts.push_back({std::move(to), std::move(result)});
}

// The operations in the journal come before new ones, so the buffer takes none until it can read the journal.
caf::error buffer_engine::recover() {
  if (recovered_)
    return {};
  auto content = store_.recover();
  if (!content)
    return std::move(content.error());
  recover(std::move(*content));
  recovered_ = true;
  pump_all();
  return {};
}

void buffer_engine::recover(journal_content content) {
  // Operations in the journal have waited long enough to be due.
  auto since = time_.now() - settings_.rows.interval;
  for (auto& batch : content.batches) {
    std::vector<outgoing_operation> operations;
    for (auto& remembered : content.in_batches)
      if (std::find(batch.operations.begin(), batch.operations.end(), remembered.seq) != batch.operations.end())
        operations.push_back(from_journal(std::move(remembered), ++number_, since));
    auto& db = database_of(batch.request.db);
    db.recover(std::move(batch), std::move(operations));
  }
  for (auto& remembered : content.operations) {
    checked_operation operation;
    operation.seq = remembered.seq;
    // The schema that the operation was checked against is unknown now: no operation may overtake it, and it is written
    // in a batch of its own.
    operation.needs_own_batch = true;
    operation.keeps_order = true;
    operation.put = std::move(remembered.content);
    auto& db = database_of(operation.put.row.db);
    db.add(std::move(operation), ++number_, since);
  }
}

void buffer_engine::put(buffer_put operation, reply<buffer_receipt> to) {
  if (closing_)
    return answer_put(to, shutting_down());
  if (auto error = recover())
    return answer_put(to, std::move(error));
  // An operation must not overtake waiting ones: they may be for the same row.
  waiting_.empty() ? admit(std::move(operation), std::move(to)) : wait_for_room(std::move(operation), std::move(to));
}

void buffer_engine::admit(buffer_put operation, reply<buffer_receipt> to) {
  if (closing_)
    return answer_put(to, shutting_down());
  // Checked before the table's schema, so that the operation does not overtake those that came during the schema
  // change.
  if (is_quiet(operation.row.db))
    return hold(std::move(operation), std::move(to));
  if (auto known = shapes_.find(operation.row.db, operation.row.table))
    return take(*known, std::move(operation), std::move(to));
  if (shapes_.waiting() >= settings_.rows.max_pending)
    return wait_for_room(std::move(operation), std::move(to));
  auto db = operation.row.db;
  auto table = operation.row.table;
  auto waits = std::make_shared<std::pair<buffer_put, reply<buffer_receipt>>>(std::move(operation), std::move(to));
  with_shape(db, table, [this, waits](const caf::expected<schema_cache::shape>& shape) {
    auto& [waiting, answer_to] = *waits;
    if (!shape)
      answer_put(answer_to, shape.error());
    else if (closing_)
      answer_put(answer_to, shutting_down());
    else
      take(**shape, std::move(waiting), std::move(answer_to));
  });
}

void buffer_engine::take(const table_schema& shape, buffer_put operation, reply<buffer_receipt> to) {
  if (is_quiet(operation.row.db))
    return hold(std::move(operation), std::move(to));
  if (auto most = settings_.rows.max_bytes / share_of_one; footprint(operation) > most)
    return answer_put(to, make_error(errc::too_large, "the operation has " + std::to_string(footprint(operation))
                                                        + " bytes; at most " + std::to_string(most) + " are buffered"));
  auto wait = operation.wait;
  auto checked = check(shape, std::move(operation));
  if (!checked)
    return answer_put(to, std::move(checked.error()));
  const auto* db = find(checked->put.row.db);
  if ((db && db->rows().would_merge(*checked)) || has_room(to_journal_.size()))
    return accept(std::move(*checked), std::move(to));
  checked->put.wait = wait;
  wait_for_room(std::move(checked->put), std::move(to));
}

void buffer_engine::wait_for_room(buffer_put operation, reply<buffer_receipt> to) {
  if (operation.cancel.cancelled())
    return answer_put(to, cancelled_while_waiting());
  if (operation.wait.count() <= 0 || waiting_.size() >= settings_.rows.max_pending)
    return refuse_overload(std::move(to));
  auto until = time_.now() + operation.wait;
  insert_in_order(waiting_, {std::move(operation), std::move(to), until});
  arm();
}

void buffer_engine::refuse_overload(reply<buffer_receipt> to) {
  auto error = make_failure(errc::overloaded, "the write-behind buffer is full");
  view_.change([&](buffer_view& view) {
    ++view.status.overloaded;
    auto usual = std::chrono::milliseconds{view.status.last_flush_ms} * 2;
    auto most = std::max(settings_.rows.interval, std::chrono::milliseconds{10});
    error.retry_after_ms = static_cast<uint32_t>(std::clamp(usual, std::chrono::milliseconds{10}, most).count());
  });
  answer_put(to, make_error(std::move(error)));
}

void buffer_engine::accept(checked_operation operation, reply<buffer_receipt> to) {
  operation.put.wait = {};
  if (!settings_.journal)
    return keep(std::move(operation), std::move(to));
  // All operations in the mailbox by then are written to the disk together.
  if (to_journal_.empty())
    effects_.calls_tick = true;
  to_journal_.push_back({std::move(operation), std::move(to)});
}

bool buffer_engine::add(checked_operation operation) {
  auto& db = database_of(operation.put.row.db);
  return db.add(std::move(operation), ++number_, time_.now());
}

void buffer_engine::keep(checked_operation operation, reply<buffer_receipt> to) {
  auto db = operation.put.row.db;
  auto journaled = operation.seq != 0;
  auto merged = add(std::move(operation));
  // Published before the answer, so that a caller with the answer finds the operation in the status.
  view_.change([&](buffer_view& view) {
    ++view.status.puts;
    view.status.merged += merged ? 1 : 0;
    show_pending(view);
  });
  answer_put(to, buffer_receipt{pending(), journaled});
  has_room(0) ? pump(db) : pump_all();
  arm();
}

void buffer_engine::write_journal() {
  if (to_journal_.empty())
    return;
  auto group = std::exchange(to_journal_, {});
  std::vector<buffer_put> puts;
  for (const auto& next : group)
    puts.push_back(next.operation.put);
  auto first = store_.append(puts);
  for (size_t i = 0; i < group.size(); ++i) {
    auto& [operation, to] = group[i];
    if (!first) {
      answer_put(to, first.error());
      continue;
    }
    operation.seq = *first + i;
    keep(std::move(operation), std::move(to));
  }
}

void buffer_engine::admit_waiting() {
  auto max_pending = settings_.rows.max_pending;
  while (!waiting_.empty() && has_room(to_journal_.size()) && shapes_.waiting() < max_pending) {
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    auto left = next.until - time_.now();
    next.put.wait = std::max(std::chrono::milliseconds{0}, std::chrono::ceil<std::chrono::milliseconds>(left));
    admit(std::move(next.put), std::move(next.to));
  }
}

// Drops waiting requests whose clients have gone. Accepted operations stay.
void buffer_engine::drop_cancelled() {
  auto drop = [this](std::deque<waiting_put>& puts) {
    std::erase_if(puts, [this](waiting_put& waiting) {
      if (!waiting.put.cancel.cancelled())
        return false;
      answer_put(waiting.to, cancelled_while_waiting());
      return true;
    });
  };
  drop(waiting_);
  for (auto& [db, puts] : held_puts_)
    drop(puts);
}

void buffer_engine::refuse_late(clock::steady now) {
  std::erase_if(waiting_, [&](waiting_put& waiting) {
    if (waiting.until > now)
      return false;
    refuse_overload(std::move(waiting.to));
    return true;
  });
}

void buffer_engine::tick() {
  auto now = time_.now();
  if (next_tick_ <= now)
    next_tick_ = clock::steady::max();
  write_journal();
  drop_cancelled();
  refuse_late(now);
  // Once the time for closing is over, no answer is awaited.
  if (!closing_ || now < close_by_)
    pump_all();
  publish();
  arm();
  if (closing_)
    end_if_done();
}

void buffer_engine::arm() {
  auto at = clock::steady::max();
  for (const auto& [name, db] : databases_)
    at = std::min(at, db.next_due());
  for (const auto& waiting : waiting_)
    at = std::min(at, waiting.until);
  if (closing_)
    at = std::min(at, close_by_);
  if (at >= next_tick_)
    return;
  next_tick_ = at;
  effects_.tick_in = std::max(clock::steady::duration{0}, at - time_.now());
}

} // namespace sluice
