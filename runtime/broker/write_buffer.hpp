#pragma once

#include "messages/interfaces.hpp"
#include "messages/refusal.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <vector>

namespace sluice {

struct broker_core;

/// The handle of a store's write-behind buffer, for writes that need not wait for the disk: a put is in memory when it
/// is answered, and in the database at most one interval and a flush later. Reads through `database` see the flushed
/// rows, `get` sees pending ones as well. Without `broker_config::buffer_journal` the death of the process loses the
/// pending rows. Cheap to copy, safe to use from any thread and any actor, valid as long as its broker.
///
/// Requests name their database as `broker::open_database` takes it. Every failure is a sluice error: `describe(error)`
/// gives code, outcome and text. An invalid request (`invalid_request`, `too_large`) never reaches the buffer.
class write_buffer {
public:
  /// Puts an operation and waits for the receipt, for plain threads: microseconds, or with a journal the time of a
  /// commit to its file. `overloaded`, with a time after which to try again, when the buffer is nearly full, unless
  /// `operation.wait` allows to wait for room. A column is named once and belongs either to the key or to the values; a
  /// delete has no values, an update at least one; an operation has at most 1 MiB.
  caf::expected<buffer_receipt> put(buffer_put operation) const;

  /// Puts without waiting; the future is fulfilled by the broker's threads. Puts of one thread keep their order.
  std::future<caf::expected<buffer_receipt>> put_async(buffer_put operation) const;

  /// For actors: sends the operation from `self`; continue with `.then(...)`.
  template <class Self> auto put(Self* self, buffer_put operation) const { return send(self, std::move(operation)); }

  /// The row as it will be when everything pending is written.
  caf::expected<buffered_row> get(buffer_get request) const;
  template <class Self> auto get(Self* self, buffer_get request) const { return send(self, std::move(request)); }

  /// Writes everything pending, or that of one database or table, and waits until each row is written, rejected, or
  /// could not be written this time.
  caf::expected<flush_report> flush(flush_request request = {}) const;
  template <class Self> auto flush(Self* self, flush_request request) const { return send(self, std::move(request)); }

  /// Rows that the database refused, oldest first.
  caf::expected<rejected_page> rejected(const rejected_query& query = {}) const;

  /// Puts such rows back into the buffer, which tries them again, or deletes them; no ids mean all. Returns their
  /// number.
  /// @param agent the agent in the audit record
  caf::expected<uint64_t> requeue(std::vector<uint64_t> ids = {}, std::string agent = {}) const;
  caf::expected<uint64_t> discard(std::vector<uint64_t> ids = {}, std::string agent = {}) const;

  /// For actors: `decision` chooses between the two; continue with `.then(...)`.
  template <class Self> auto decide(Self* self, rejected_decision decision) const {
    return send(self, std::move(decision));
  }

private:
  friend class broker;
  explicit write_buffer(std::shared_ptr<broker_core> core) : core_(std::move(core)) {}

  // Checks a request, gives its database the canonical name, and returns the actor to send it to.
  caf::expected<buffer_actor> admit(buffer_put& operation) const;
  caf::expected<buffer_actor> admit(buffer_get& request) const;
  caf::expected<buffer_actor> admit(flush_request& request) const;
  caf::expected<buffer_actor> admit(rejected_decision& decision) const;
  template <class Request>
  caf::error refuse(request_type type, const std::string& db, const Request& request, failure error) const;
  caf::expected<buffer_actor> route() const;
  const refusal_actor& refusals() const;

  template <class Self, class Request> auto send(Self* self, Request request) const {
    auto route = admit(request);
    return route ? self->request(*route, caf::infinite, std::move(request))
                 : self->request(refusals(), caf::infinite, describe(route.error()), std::move(request));
  }

  template <class Result, class Request> caf::expected<Result> ask(Request request) const;

  std::shared_ptr<broker_core> core_;
};

} // namespace sluice
