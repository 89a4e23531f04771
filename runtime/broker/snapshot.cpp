#include "runtime/broker/snapshot.hpp"

#include "actors/shared/unrecorded_requests.hpp"
#include "runtime/broker/actor_factories.hpp"
#include "runtime/broker/broker.hpp"
#include "runtime/broker/broker_core.hpp"
#include "runtime/broker/request_check.hpp"
#include "runtime/sqlite/reader/snapshot_store.hpp"

#include <algorithm>
#include <utility>

// Snapshots of a broker in this process.
namespace sluice {

namespace {

// One of the snapshots that may be open at a time.
class snapshot_place {
public:
  explicit snapshot_place(broker_core& core) : open_(core.snapshots) {
    is_taken_ = open_.fetch_add(1) < core.config.max_cursors;
  }
  snapshot_place(const snapshot_place&) = delete;
  snapshot_place& operator=(const snapshot_place&) = delete;
  ~snapshot_place() { --open_; }

  bool is_taken() const noexcept { return is_taken_; }

private:
  std::atomic<uint64_t>& open_;
  bool is_taken_ = false;
};

class local_snapshot final : public snapshot {
public:
  local_snapshot(broker_core& core, const std::string& db, clock::steady end)
    : core_(core), defaults_(core.config.of(db)), store_(
                                                    core.root.path_of(db), core.config.for_database(db), end, core.time,
                                                    [&core, db] {
                                                      if (system_access::use in{*core.access})
                                                        note_recovery(core, db);
                                                    },
                                                    core.files_of(db), core.answers) {}

  caf::expected<void> begin() { return store_.begin(); }

  caf::expected<statement_rows> query(const sql_text& sql, const parameters& params, read_limits limits) override {
    if (core_.is_closed() || core_.in_child())
      return make_error(core_.closed_error());
    read_request request;
    request.query = {sql, params};
    request.limits = limits;
    if (auto error = check(request))
      return make_error(std::move(*error));
    if (limits.max_rows == 0)
      limits.max_rows = defaults_.read_max_rows;
    if (limits.max_bytes == 0)
      limits.max_bytes = defaults_.read_max_bytes;
    if (limits.timeout.count() == 0)
      limits.timeout = defaults_.read_timeout;
    return store_.query(request.query, limits);
  }

private:
  broker_core& core_;
  const database_config defaults_;
  sqlite::snapshot_store store_;
};

// When the connection has been closed, also after an exception.
class closing_notice {
public:
  closing_notice(broker_core& core, database_context& context) : core_(core), context_(context) {}
  closing_notice(const closing_notice&) = delete;
  closing_notice& operator=(const closing_notice&) = delete;
  ~closing_notice() {
    if (system_access::use in{*core_.access})
      notify_writer_of_close(context_, false);
  }

private:
  broker_core& core_;
  database_context& context_;
};

caf::error check_lifetime(std::chrono::milliseconds lifetime, std::chrono::milliseconds longest) {
  if (lifetime.count() >= 0 && lifetime <= longest)
    return {};
  return make_error(errc::invalid_request, "lifetime is " + std::to_string(lifetime.count())
                                             + " ms; it must be between 0 (the default) and "
                                             + std::to_string(longest.count()) + " ms (cursor_lifetime_ms)");
}

} // namespace

caf::error database::with_snapshot(const snapshot_options& options, const std::function<void(snapshot&)>& work) const {
  read_request request;
  request.agent = options.agent;
  request.received = core_->time.now();
  auto refused = [&](failure error) { return refuse(request, request_type::read, std::move(error)); };
  if (auto error = resolve_name(request.db))
    return refused(std::move(*error));
  if (auto error = check(request))
    return refused(std::move(*error));
  auto longest = core_->config.cursor_lifetime;
  if (auto error = check_lifetime(options.lifetime, longest))
    return refused(describe(error));
  if (core_->is_own_thread() || core_->in_child() || core_->is_closed())
    return refused(core_->closed_error());
  if (auto error = context_->closed())
    return refused(std::move(*error));
  snapshot_place place{*core_};
  if (!place.is_taken())
    return refused(make_failure(errc::overloaded,
                                "there are " + std::to_string(core_->config.max_cursors)
                                  + " snapshots open, the most that this broker allows (max_cursors); end some",
                                {.retry_after_ms = 100}));
  closing_notice after{*core_, *context_};
  auto end = request.received + (options.lifetime.count() > 0 ? options.lifetime : longest);
  local_snapshot view{*core_, context_->name(), end};
  if (auto begun = view.begin(); !begun)
    return refused(describe(begun.error()));
  core_->record(unrecorded(request_type::read, context_->name(), request), "ok");
  work(view);
  return {};
}

} // namespace sluice
