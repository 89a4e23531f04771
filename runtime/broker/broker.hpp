#pragma once

#include "actors/shared/actor_registry.hpp"
#include "actors/shared/retry_counters.hpp"
#include "messages/interfaces.hpp"
#include "messages/refusal.hpp"
#include "messages/status.hpp"
#include "runtime/broker/cursor.hpp"
#include "runtime/broker/front_door_guard.hpp"
#include "runtime/broker/logger.hpp"
#include "runtime/broker/write_buffer.hpp"
#include "runtime/store/config.hpp"

#include <caf/expected.hpp>

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

class answer_budget;
class live_policy;
class broker;
class capsule_authority;
class store_lock;
class store_root;
struct broker_core;

/// A front door to one database: cheap to copy, safe to use from any thread and any actor, valid as long as its broker.
///
/// Requests may leave `db` empty; it is filled in. One that names another database is refused
/// (`errc::invalid_request`). Every failure is a sluice error: `describe(error)` gives code, outcome and text.
class database {
public:
  const std::string& name() const noexcept;

  /// Whether requests are accepted: the database has been opened, and neither it nor the broker has been closed.
  bool is_open() const noexcept;
  explicit operator bool() const noexcept { return is_open(); }

  /// Writes and waits for the COMMIT, for plain threads. Never blocks longer than the request's deadline plus one
  /// second; the outcome is `unknown` only if not even an answer came in that time.
  caf::expected<write_result> write(write_request request) const;

  /// Shorthand for a single statement.
  caf::expected<write_result> write(std::string agent, sql_text sql, parameters params = {}) const;

  /// Writes without waiting; the future is fulfilled by the broker's threads.
  std::future<caf::expected<write_result>> write_async(write_request request) const;

  /// Reads and waits, for plain threads. A hit costs no message.
  caf::expected<read_result> read(read_request request) const;

  /// Shorthand for a single statement.
  caf::expected<read_result> read(std::string agent, sql_text sql, parameters params = {}) const;

  /// Reads without waiting; already fulfilled when it returns if the answer was cached.
  std::future<caf::expected<read_result>> read_async(read_request request) const;

  /// For actors: sends the write from `self`; continue with `.then(...)`. The answer is a `write_result` or an error.
  template <class Self> auto write(Self* self, write_request request) const {
    auto route = admit(request);
    if (!route)
      return self->request(refusals(), caf::infinite, describe(route.error()), std::move(request));
    auto ticket = request.ticket;
    auto answer = self->request(*route, caf::infinite, std::move(request));
    ticket->answer_to(caf::strong_actor_ptr{self->ctrl()}, answer.id());
    return answer;
  }

  /// For actors: the answer if it can be given without a message. Ask this first, then `read(self, ...)`.
  std::optional<read_result> cached(read_request& request) const;

  /// For actors: sends the read from `self`; continue with `.then(...)`.
  template <class Self> auto read(Self* self, read_request request) const {
    auto route = admit(request);
    return route ? self->request(*route, caf::infinite, std::move(request))
                 : self->request(refusals(), caf::infinite, describe(route.error()), std::move(request));
  }

  /// Reads an answer of any size, page by page, for plain threads; waits for the first page. `request.limits` bound
  /// each page: at most `max_cursor_page_rows` rows and `max_cursor_page_bytes` bytes, which are the defaults, and the
  /// read time-out. It always queries the database. `errc::overloaded` when too many cursors are open. Close the cursor
  /// or read it to its end: an open cursor keeps the write-ahead log from being emptied.
  caf::expected<std::unique_ptr<cursor>> open_cursor(read_request request) const;

  /// For actors: opens a cursor from `self`, and requests its next page; continue with `.then(...)`. The answers are a
  /// `cursor_page` or an error; any error of a later page except `overloaded` ends the cursor. Request the pages of one
  /// cursor one after the other.
  template <class Self> auto open_cursor(Self* self, read_request request, cancel_token ended = {}) const {
    sluice::open_cursor message{std::move(request), 0, std::move(ended)};
    auto route = admit(message);
    return route ? self->request(*route, caf::infinite, std::move(message))
                 : self->request(refusals(), caf::infinite, describe(route.error()), std::move(message));
  }
  template <class Self> auto next_page(Self* self, uint64_t cursor) const {
    auto route = cursors();
    return route ? self->request(*route, caf::infinite, sluice::next_page{cursor})
                 : self->request(refusals(), caf::infinite, describe(route.error()), sluice::next_page{cursor});
  }

  /// Ends a cursor, from any thread; returns at once.
  void close_cursor(uint64_t cursor) const;

  /// From now on `listener` is sent an `invalidation` for every commit to this database, in order and each before the
  /// writes in it are acknowledged, and for changes by others (see there). A listener never delays commits: when 10,000
  /// messages wait in its mailbox, one that says `everything` stands for all following ones until it is handled. Does
  /// not keep `listener` alive. Idempotent.
  void listen(const invalidation_listener& listener) const;

  /// After it returns, `listener` is sent nothing more; earlier messages may still be in its mailbox.
  void unlisten(const invalidation_listener& listener) const;

  /// The counters since the broker started, and the current state.
  database_status status() const;

  /// A handle with the rights of this agent: its requests are SQL by `agent`, which the policy of the store must allow
  /// (`errc::not_authorized` if not), within the limits of its rule. One in another name is refused. Without a policy
  /// it may do everything.
  database for_agent(std::string agent) const;

private:
  friend class broker;
  database(std::shared_ptr<broker_core> core, database_context& context) : core_(std::move(core)), context_(&context) {}

  // Gives a request the name of this database, unless it names another one.
  std::optional<failure> resolve_name(std::string& db) const;
  // Checks a request, fills in defaults, and returns the actor to send it to.
  caf::expected<writer_actor> admit(write_request& request) const;
  caf::expected<cache_actor> admit(read_request& request) const;
  caf::expected<cursors_actor> admit(sluice::open_cursor& message) const;
  caf::expected<cursors_actor> cursors() const;
  template <class Request> caf::error refuse(const Request& request, request_type type, failure error) const;
  // Asks the policy for a request of an agent's handle, and limits the request; returns the reason of a refusal.
  template <class Request> std::optional<failure> restrict(Request& request, request_type type) const;
  const refusal_actor& refusals() const;

  std::shared_ptr<broker_core> core_;
  database_context* context_;
  // Null in the handles of the owner.
  std::shared_ptr<const std::string> agent_{};
};

/// The embedding interface: one broker leads one store root, in this process. Thread-safe. Its destructor shuts it
/// down.
class broker {
public:
  /// Leads the store with an actor system of its own, for hosts of plain threads. `errc::invalid_request` for a
  /// configuration that `check` refuses; `errc::busy` when another process leads this root for all of `lock_wait`, and
  /// at once when this process leads it.
  static caf::expected<broker> open(broker_config config);

  /// Leads the store inside the host's actor system, which must outlive the broker and know our message types
  /// (`add_message_types`).
  static caf::expected<broker> open(caf::actor_system& system, broker_config config);

  /// Leads a store whose lock the caller has taken already, otherwise as above. `root` is the folder that `lock` was
  /// taken for; the configuration's own root and its `lock_wait` are ignored.
  static caf::expected<broker> open(broker_config config, store_root root, store_lock lock);
  static caf::expected<broker> open(caf::actor_system& system, broker_config config, store_root root, store_lock lock);

  /// Over a core whose actors have been spawned by other means (runtime/broker/broker_core.hpp), as simulations do.
  explicit broker(std::shared_ptr<broker_core> core) : core_(std::move(core)) {}

  broker(broker&&) noexcept = default;
  broker& operator=(broker&&) noexcept;
  ~broker();

  /// The handle of the database file `name`, relative to the root; its writer and readers are started on first use, the
  /// first write creates the file. Names that lead out of the root or into `.sluice/` are refused.
  caf::expected<database> open_database(const std::string& name);

  /// The canonical name of the database file that `name` means; errors as `open_database`. Reads folders and links,
  /// opens nothing.
  caf::expected<std::string> resolve(const std::string& name) const;

  /// For actors, which must not block: opens the database from `self`; continue with `.then(...)`, and when the answer
  /// is `ok_atom`, call `opened(canonical)`. @param canonical the result of `resolve`
  template <class Self> auto open_database(Self* self, const std::string& canonical) const {
    return self->request(actors().supervisor(), caf::infinite, caf::open_atom_v, canonical);
  }

  /// As `open_database`, but never creates a file: `errc::unknown_database` for a database whose file does not exist,
  /// without an actor or an entry in the status for it. Use it where clients choose the names.
  template <class Self> auto find_database(Self* self, const std::string& canonical) const {
    return self->request(actors().supervisor(), caf::infinite, find_atom{}, canonical);
  }

  /// The same for plain threads. @param canonical the result of `resolve`
  caf::expected<database> find_database(const std::string& canonical);

  /// Closes a database: requests under way have 4 s to finish, then its actors end and its files are closed. Its
  /// handles refuse requests (`unavailable`) until the database is opened again. Rows of the write-behind buffer for it
  /// are written later, and open it. Idempotent; errors as `resolve`, and `unavailable` after a shutdown.
  caf::error close_database(const std::string& name);

  /// For actors, as `open_database`.
  template <class Self> auto close_database(Self* self, const std::string& canonical) const {
    return self->request(actors().supervisor(), caf::infinite, caf::close_atom_v, canonical);
  }

  /// The handle of a database that has been opened; for any other name a handle that refuses every request.
  /// @param canonical the result of `resolve`
  database opened(const std::string& canonical) const;

  /// The front door to the write-behind buffer.
  write_buffer buffer() const;

  caf::expected<audit_page> audit(const audit_query& query) const;
  caf::expected<audit_verdict> verify_audit() const;
  /// Removes old records, a bounded number of them: call it again while there are more.
  caf::expected<audit_pruned> prune_audit(const audit_prune& request) const;

  /// For front doors: records a request that was refused before it reached a database or the buffer, or that changed
  /// something without being a write. @param status "ok", or the name of an error code
  void record(const unrecorded_request& request, std::string_view status) const;

  /// Takes an entry for the log database; as `logger::log`.
  void log(log_level level, std::string_view source, std::string_view message, std::string_view agent = {}) const;

  /// A handle for the log database that may outlive the broker.
  logger logs() const;

  /// Entries of the log database, those not written yet included.
  caf::expected<log_page> recent_logs(const log_query& query) const;

  /// For front doors, which must close before the broker.
  const std::shared_ptr<front_door_guard>& door() const noexcept;

  /// The counters for retries of the host (runtime/broker/retry.hpp); the status shows them. Valid as long as the
  /// broker.
  retry_counters& retries() const noexcept;

  /// Sets all counters of retries to zero, also those of the databases.
  void reset_retries() const;

  /// From now on `callback` is called with warnings for operators: a log file that was damaged or cannot be written,
  /// requests that took far too long. Called by the broker's threads, one at a time, while its actors wait: it must
  /// return soon. It may destroy the broker, which then ends in another thread after the call; in the callback, calls
  /// that wait for the broker, such as `shutdown`, fail as `invalid_request`.
  void on_warning(std::function<void(std::string_view)> callback) const;

  /// The error when this broker ended without a shutdown, else nothing: its supervisor has ended, and every request is
  /// refused as `unavailable`. Close it and open another one.
  std::optional<failure> why_failed() const;

  /// From now on `callback` is called once, by a thread of the broker, when that happens; at once if it has happened.
  /// It may destroy the broker, and must not wait for it, as in `on_warning`.
  void on_failure(std::function<void(const failure&)> callback) const;

  /// Its status, without the running requests.
  broker_status status() const;

  /// The running and waiting writes, unordered.
  std::vector<running_request> running_writes() const;

  /// The reads, likewise. Asks the cache actor and waits for it, so it is for plain threads; actors send `running_atom`
  /// themselves.
  caf::expected<std::vector<running_request>> running_reads() const;

  /// The open cursors, likewise.
  caf::expected<std::vector<running_request>> open_cursors() const;

  /// Call it before a shutdown, while answers can still be delivered: requests under way have 4 s left. Then running
  /// ones are interrupted, and waiting ones refused (`unavailable`).
  void drain() const;

  /// Ends the writes with this request id for which `may_cancel` is true: a waiting write is answered `cancelled`; a
  /// running one is interrupted and undone, and answered then. False when there is none. Reads are cancelled by their
  /// token.
  bool cancel_write(const std::string& request_id, const std::function<bool(const ticket&)>& may_cancel) const;

  const broker_config& config() const noexcept;

  /// For a thread that serves other clients: calls `work`, and then runs the actors to which `work` has sent requests
  /// that are known to be short, so that no other thread is woken for them.
  void serve(const std::function<void()>& work) const;

  /// Who may do what. Every way in from outside asks it; a host may do everything, because it is the owner.
  live_policy& policy() const noexcept;

  /// The memory for rows of answers.
  const answer_budget& answers() const noexcept;

  const store_root& root() const noexcept;

  /// For front doors: issues and verifies the capsules of the store. Thread-safe; valid as long as the broker.
  capsule_authority& capsules() const noexcept;

  /// Whether the lock file is still the broker's: false once it has been removed. The broker still serves requests, but
  /// other processes will not find it any more. @pre not shut down
  bool still_leads() const noexcept;
  caf::actor_system& system() const noexcept;

  /// The current actors, for tools that inspect them or make them fail.
  actor_registry& actors() const noexcept;

  /// Closes its front door, refuses further requests, drains, commits, writes the audit, checkpoints and closes.
  /// Returns nothing, or `errc::unavailable` with the loss: buffered rows that could neither be written nor kept as
  /// rejected rows, records of the audit. Only the first call returns the error. Idempotent.
  caf::error shutdown();

private:
  static caf::expected<broker> lead(caf::actor_system* system, broker_config config);
  static caf::expected<broker> start(caf::actor_system* system, broker_config config, store_root root, store_lock lock);
  static void end(const std::shared_ptr<broker_core>& core) noexcept;

  std::shared_ptr<broker_core> core_;
};

} // namespace sluice
