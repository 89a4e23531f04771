#include "runtime/server/rpc/codec.hpp"
#include "runtime/server/service_port_call.hpp"

#include <fmt/format.h>

#include <utility>

namespace sluice {

using nlohmann::json;

void service_port::open_cursor(const json& params, const call_ptr& call) {
  auto request = rpc::open_cursor_from_json(params);
  if (!request)
    return call->fail(request.error());
  if (!call->sign(*request))
    return;
  if (!call->link->push)
    return call->refuse(
      *request, make_error(errc::invalid_request, "a cursor needs a connection that stays: use the socket, or read"));
  pending::put_under_way(call, *request);
  if (pending::refuse_cancelled(call, *request))
    return;
  auto name = request->db;
  using use = service::file_use;
  call->owner.with_database(name, use::must_exist,
                            [call, x = std::move(*request)](const caf::expected<database>& db) mutable {
                              if (!db)
                                return call->refuse(x, db.error());
                              x.db = db->name();
                              run_open(*db, std::move(x), call);
                            });
}

void service_port::run_open(const database& db, read_request request, const call_ptr& call) {
  if (pending::refuse_cancelled(call, request))
    return;
  auto port = call->port.lock();
  if (port && port->is_held_) {
    port->held_pages_.push_back([db, x = std::move(request), call] { run_open(db, x, call); });
    return;
  }
  if (port)
    port->uses_cursors_ = true;
  call->recorded = true;
  auto ended = request.cancel.derive();
  requests_under_way::request known{request.request_id, {request.agent, request.peer, call->port}, request.cancel};
  db.open_cursor(&call->owner.actor_, std::move(request), ended)
    .then(
      [call, db, ended, known](const cursor_page& page) {
        if (auto owner = call->port.lock(); owner && !page.is_last)
          owner->keep_cursor(page.cursor, {db, call->integers, ended, call->owner.under_way_.add(known)});
        pending::succeed(call, page);
      },
      [call](const caf::error& why) { call->fail(why); });
}

void service_port::next_page(const json& params, const call_ptr& call) {
  auto id = rpc::cursor_from_json(params);
  if (!id)
    return call->fail(id.error());
  if (call->sign(call->names.agent))
    run_next(*id, call);
}

void service_port::run_next(uint64_t id, const call_ptr& call) {
  auto port = call->port.lock();
  if (!port)
    return;
  if (port->is_held_) {
    port->held_pages_.push_back([id, call] { run_next(id, call); });
    return;
  }
  auto own = port->cursors_.find(id);
  if (own == port->cursors_.end())
    return call->fail(make_error(
      errc::invalid_request,
      fmt::format("cursor {} is none of this connection's: it has been read to its end, or closed, or was opened on "
                  "another connection; open one here",
                  id)));
  call->recorded = true;
  call->integers = own->second.integers;
  own->second.db.next_page(&call->owner.actor_, id)
    .then(
      [call, id](const cursor_page& page) {
        if (auto owner = call->port.lock(); owner && page.is_last)
          owner->forget_cursor(id);
        pending::succeed(call, page);
      },
      [call, id](const caf::error& why) {
        if (auto owner = call->port.lock())
          if (auto known = owner->cursors_.find(id); known != owner->cursors_.end() && known->second.ended.cancelled())
            owner->forget_cursor(id);
        call->fail(why);
      });
}

void service_port::close_cursor(const json& params, const call_ptr& call) {
  auto id = rpc::cursor_from_json(params);
  if (!id)
    return call->fail(id.error());
  if (!call->sign(call->names.agent))
    return;
  auto port = call->port.lock();
  auto answer = [call](bool closed) { call->succeed({{"closed", closed}}); };
  if (!port || !port->cursors_.contains(*id))
    return answer(false);
  port->forget_cursor(*id);
  auto& owner = call->owner;
  owner.actor_.request(owner.leader_.actors().cursors(), caf::infinite, sluice::close_cursor{*id})
    .then(answer, [call](const caf::error& why) { call->fail(why); });
}

void service_port::keep_cursor(uint64_t id, own_cursor x) {
  // For some time the broker keeps the reason why a cursor ended; after that the error is that there is no such cursor.
  constexpr size_t max_kept = 64;
  if (cursors_.size() >= max_kept)
    forget_cursors(true);
  cursors_.emplace(id, std::move(x));
}

void service_port::forget_cursor(uint64_t id) {
  auto found = cursors_.find(id);
  if (found == cursors_.end())
    return;
  service_.under_way_.remove(found->second.under_way);
  cursors_.erase(found);
}

void service_port::forget_cursors(bool ended_only) {
  for (auto x = cursors_.begin(); x != cursors_.end();) {
    auto [id, own] = *x++;
    if (!ended_only || own.ended.cancelled())
      forget_cursor(id);
  }
}

void service_port::run_held_pages() {
  if (is_held_)
    return;
  for (auto& run : std::exchange(held_pages_, {}))
    run();
}

// The broker looks at the tokens of its cursors when a message asks it to.
void service_port::end_cancelled_cursors() {
  if (!uses_cursors_)
    return;
  if (auto to = service_.leader_.actors().cursors())
    caf::anon_send(to, caf::tick_atom_v);
}

} // namespace sluice
