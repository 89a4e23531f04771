#include "runtime/server/broker_handler_call.hpp"
#include "runtime/server/rpc/codec.hpp"

#include <fmt/format.h>

#include <utility>

namespace sluice {

using nlohmann::json;

void broker_handler::open_cursor(const json& params, const call_ptr& call) {
  auto request = rpc::open_cursor_from_json(params);
  if (!request)
    return call->fail(request.error());
  if (!call->sign(*request))
    return;
  if (!call->link->push)
    return call->refuse(
      *request, make_error(errc::invalid_request, "a cursor needs a connection that stays: use the socket, or read"));
  if (auto reason = why_no_cursor(call->admitted)) {
    call->names.reason = reason->message;
    return call->refuse(*request, make_error(std::move(*reason)));
  }
  pending::put_under_way(call, *request);
  if (pending::refuse_cancelled(call, *request))
    return;
  auto name = request->db;
  using use = service::file_use;
  call->owner.with_database(name, use::must_exist,
                            [call, opening = std::move(*request)](const caf::expected<database>& db) mutable {
                              if (!db)
                                return call->refuse(opening, db.error());
                              opening.db = db->name();
                              run_open(*db, std::move(opening), call);
                            });
}

void broker_handler::run_open(const database& db, read_request request, const call_ptr& call) {
  if (pending::refuse_cancelled(call, request))
    return;
  auto handler = call->handler.lock();
  if (handler && handler->is_held_) {
    handler->held_pages_.push_back([db, opening = std::move(request), call] { run_open(db, opening, call); });
    return;
  }
  if (handler)
    handler->uses_cursors_ = true;
  call->recorded = true;
  apply(call->admitted, call->owner.leader_.config().of(db.name()), request);
  auto ended = request.cancel.derive();
  requests_under_way::request known{request.request_id, {request.agent, request.peer, call->handler}, request.cancel};
  db.open_cursor(&call->owner.actor_, std::move(request), ended)
    .then(
      [call, db, ended, known](const cursor_page& page) {
        if (auto owner = call->handler.lock(); owner && !page.is_last)
          owner->keep_cursor(page.cursor, {db, call->integers, ended, call->owner.under_way_.add(known)});
        pending::succeed(call, page);
      },
      [call](const caf::error& error) { call->fail(error); });
}

void broker_handler::next_page(const json& params, const call_ptr& call) {
  auto id = rpc::cursor_from_json(params);
  if (!id)
    return call->fail(id.error());
  if (call->sign(call->names.agent))
    run_next(*id, call);
}

void broker_handler::run_next(uint64_t id, const call_ptr& call) {
  auto handler = call->handler.lock();
  if (!handler)
    return;
  if (handler->is_held_) {
    handler->held_pages_.push_back([id, call] { run_next(id, call); });
    return;
  }
  auto opened = handler->cursors_.find(id);
  if (opened == handler->cursors_.end())
    return call->fail(make_error(
      errc::invalid_request,
      fmt::format("cursor {} does not belong to this connection: it was read to its end, was closed, or was opened on "
                  "another connection; open one here",
                  id)));
  call->recorded = true;
  call->integers = opened->second.integers;
  opened->second.db.next_page(&call->owner.actor_, id)
    .then(
      [call, id](const cursor_page& page) {
        if (auto owner = call->handler.lock(); owner && page.is_last)
          owner->forget_cursor(id);
        pending::succeed(call, page);
      },
      [call, id](const caf::error& error) {
        if (auto owner = call->handler.lock())
          if (auto known = owner->cursors_.find(id); known != owner->cursors_.end() && known->second.ended.cancelled())
            owner->forget_cursor(id);
        call->fail(error);
      });
}

void broker_handler::close_cursor(const json& params, const call_ptr& call) {
  auto id = rpc::cursor_from_json(params);
  if (!id)
    return call->fail(id.error());
  if (!call->sign(call->names.agent))
    return;
  auto handler = call->handler.lock();
  auto answer = [call](bool closed) { call->succeed({{"closed", closed}}); };
  if (!handler || !handler->cursors_.contains(*id))
    return answer(false);
  handler->forget_cursor(*id);
  auto& owner = call->owner;
  owner.actor_.request(owner.leader_.actors().cursors(), caf::infinite, sluice::close_cursor{*id})
    .then(answer, [call](const caf::error& error) { call->fail(error); });
}

void broker_handler::keep_cursor(uint64_t id, own_cursor cursor) {
  // For some time the broker keeps the error with which a cursor ended; after that the error is that there is no such
  // cursor.
  constexpr size_t max_kept = 64;
  if (cursors_.size() >= max_kept)
    forget_cursors(true);
  cursors_.emplace(id, std::move(cursor));
}

void broker_handler::forget_cursor(uint64_t id) {
  auto found = cursors_.find(id);
  if (found == cursors_.end())
    return;
  service_.under_way_.remove(found->second.under_way);
  cursors_.erase(found);
}

void broker_handler::forget_cursors(bool ended_only) {
  for (auto next = cursors_.begin(); next != cursors_.end();) {
    auto [id, cursor] = *next++;
    if (!ended_only || cursor.ended.cancelled())
      forget_cursor(id);
  }
}

void broker_handler::run_held_pages() {
  if (is_held_)
    return;
  for (auto& run : std::exchange(held_pages_, {}))
    run();
}

// The broker checks the tokens of its cursors when it gets this message.
void broker_handler::end_cancelled_cursors() {
  if (!uses_cursors_)
    return;
  if (auto to = service_.leader_.actors().cursors())
    caf::anon_send(to, caf::tick_atom_v);
}

} // namespace sluice
