// The part of the writer that orders schema changes and the rows of the write-behind buffer.

#include "actors/writer/writer_state.hpp"

#include <algorithm>
#include <utility>

namespace sluice {

namespace {

failure rows_wait(const std::string& db, uint64_t rows, const std::string& reason) {
  return make_failure(errc::busy,
                      std::to_string(rows) + " rows that wait in the write-behind buffer for " + db
                        + " could not be written before the schema change: " + reason + "; repeat the request",
                      {.retry_after_ms = 250});
}

} // namespace

void writer_state::add(write_request request, reply<write_result> to) {
  // While the barrier is up, all other requests wait for the buffer's own rows.
  if (barrier.is_up() ? request.agent == buffer_agent : !may_change_schema(request) || !parts.actors->buffer())
    return apply(group.add(std::move(request), std::move(to)));
  if (!barrier.is_up()) {
    barrier.raise();
    quiesce_buffer();
  }
  hold(std::move(request), std::move(to));
}

void writer_state::hold(write_request request, reply<write_result> to) {
  auto now = parts.time->now();
  if (request.received == clock::steady{})
    request.received = now;
  auto deadline =
    request.received + (request.deadline.count() > 0 ? request.deadline : parts.settings.group.default_deadline);
  barrier.hold({std::move(request), std::move(to), deadline});
  expire_at(deadline);
}

void writer_state::expire_at(clock::steady deadline) {
  if (deadline >= next_expiry)
    return;
  next_expiry = deadline;
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - parts.time->now());
  self->delayed_send(self, std::max(std::chrono::milliseconds{0}, left), caf::timeout_atom_v);
}

void writer_state::quiesce_buffer() {
  self->request(parts.actors->buffer(), caf::infinite, quiesce_atom{}, parts.context->name())
    .then([this](const flush_report& report) { quiesced(report); },
          [this](caf::error& why) { quiesced(std::move(why)); });
}

// The error if rows in the buffer prevent a schema change now; else nothing.
std::optional<failure> writer_state::pending_rows_error(const caf::expected<flush_report>& answer) const {
  const auto& db = parts.context->name();
  if (answer)
    return answer->kept > 0 ? std::optional{rows_wait(db, answer->kept, answer->reason)} : std::nullopt;
  // The buffer has failed. Its successor will write the operations in the journal; without a journal, none are left.
  uint64_t pending = 0;
  parts.stats->buffer.change([&](const buffer_view& view) {
    for (const auto& table : view.status.tables)
      if (view.status.journal && table.db == db)
        pending += table.pending;
  });
  return pending > 0 ? std::optional{rows_wait(db, pending, describe(answer.error()).message)} : std::nullopt;
}

void writer_state::quiesced(const caf::expected<flush_report>& answer) {
  auto why = pending_rows_error(answer);
  // The held requests came before those that wait for their turn.
  std::vector<waiting> later;
  while (auto next = turns.pop())
    later.push_back(std::move(*next));
  auto is_first = true;
  for (auto& next : barrier.lower()) {
    // The schema change itself is made now, because the buffer may have new rows by its turn.
    auto waits = !std::exchange(is_first, false) && by_turns;
    if (why && may_change_schema(next.request))
      apply(group.refuse(std::move(next.request), std::move(next.to), *why));
    else if (waits)
      wait_for_turn({std::move(next.request), std::move(next.to)});
    else
      apply(group.add(std::move(next.request), std::move(next.to)));
  }
  for (auto& next : later)
    wait_for_turn(std::move(next));
  resume_due = true;
  resume_buffer();
}

// An attempt to execute an expired request refuses it.
void writer_state::expire_held() {
  auto now = parts.time->now();
  if (next_expiry <= now)
    next_expiry = clock::steady::max();
  for (auto& next : barrier.take_expired(now))
    apply(group.add(std::move(next.request), std::move(next.to)));
  expire_at(barrier.next_deadline());
}

// Sent after the listeners, and so the buffer, have received the message about the change.
void writer_state::resume_buffer() {
  if (!resume_due || barrier.is_up() || !group.empty())
    return;
  resume_due = false;
  if (auto buffer = parts.actors->buffer())
    self->send(buffer, resume_atom{}, parts.context->name());
}

void writer_state::refuse_held(const failure& why) {
  for (auto& next : barrier.lower())
    apply(group.refuse(std::move(next.request), std::move(next.to), why));
}

} // namespace sluice
