#pragma once

#include "actors/shared/audit_queue.hpp"
#include "actors/shared/database_context.hpp"
#include "messages/interfaces.hpp"

#include <caf/send.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace sluice {

/// The current handles of the actors of one broker. The supervisor replaces them when it restarts an actor, so do not
/// keep them. Entries live as long as the registry. Thread-safe.
class actor_registry {
public:
  explicit actor_registry(std::shared_ptr<const clock> time) : audit_records_(std::move(time)) {}

  cache_actor cache() const { return get(cache_); }
  audit_actor audit() const { return get(audit_); }
  buffer_actor buffer() const { return get(buffer_); }
  log_actor log() const { return get(log_); }
  supervisor_actor supervisor() const { return get(supervisor_); }
  deadline_watch_actor deadlines() const { return get(deadlines_); }
  cursors_actor cursors() const { return get(cursors_); }

  void set(cache_actor actor) { put(cache_, std::move(actor)); }
  void set(audit_actor actor) { put(audit_, std::move(actor)); }
  void set(buffer_actor actor) { put(buffer_, std::move(actor)); }
  void set(log_actor actor) { put(log_, std::move(actor)); }
  void set(supervisor_actor actor) { put(supervisor_, std::move(actor)); }
  void set(deadline_watch_actor actor) { put(deadlines_, std::move(actor)); }
  void set(cursors_actor actor) { put(cursors_, std::move(actor)); }

  /// The queue of records for the audit actor, which may be restarted meanwhile.
  audit_queue& audit_records() noexcept { return audit_records_; }

  /// Removes every actor; requests fail from now on.
  void clear() {
    set(cache_actor{});
    set(audit_actor{});
    set(buffer_actor{});
    set(log_actor{});
    set(supervisor_actor{});
    set(deadline_watch_actor{});
    set(cursors_actor{});
    for (auto* context : contexts()) {
      context->forget_route();
      context->take_readers();
      context->forget_listeners();
    }
  }

  /// The context of the database, created in the closed state on first use; the supervisor opens it.
  database_context& context(const std::string& name) {
    std::lock_guard guard{mutex_};
    auto& context = contexts_[name];
    if (!context)
      context = closed_context(name, "the database is not open yet");
    return *context;
  }

  /// The context of a database that has been opened; for any other name a context that refuses every request.
  database_context& opened(const std::string& name) {
    std::lock_guard guard{mutex_};
    auto found = contexts_.find(name);
    return found == contexts_.end() ? *never_opened_ : *found->second;
  }

  /// All contexts, by name.
  std::vector<database_context*> contexts() const {
    std::lock_guard guard{mutex_};
    std::vector<database_context*> result;
    for (const auto& [name, context] : contexts_)
      result.push_back(context.get());
    return result;
  }

  /// Ends the cursors of the database; a later request for a page of one of them fails with `error`. Returns at once
  /// and interrupts pages that are being made.
  void end_cursors_of(const std::string& db, failure error) const {
    if (auto to = cursors())
      caf::anon_send(to, end_cursors{db, std::move(error)});
  }

  /// The number of restarts of all actors.
  std::atomic<uint64_t> restarts{0};

private:
  static std::unique_ptr<database_context> closed_context(const std::string& name, const char* error) {
    auto context = std::make_unique<database_context>(name);
    context->close(make_failure(errc::unavailable, error), false);
    return context;
  }

  template <class Handle> Handle get(const Handle& handle) const {
    std::lock_guard guard{mutex_};
    return handle;
  }

  template <class Handle> void put(Handle& to, Handle handle) {
    std::lock_guard guard{mutex_};
    to = std::move(handle);
  }

  audit_queue audit_records_;
  mutable std::mutex mutex_;
  cache_actor cache_;
  audit_actor audit_;
  buffer_actor buffer_;
  log_actor log_;
  supervisor_actor supervisor_;
  deadline_watch_actor deadlines_;
  cursors_actor cursors_;
  std::map<std::string, std::unique_ptr<database_context>> contexts_;
  const std::unique_ptr<database_context> never_opened_ =
    closed_context("", "no database of this name has been opened; open it first");
};

} // namespace sluice
