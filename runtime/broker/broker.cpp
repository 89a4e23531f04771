#include "runtime/broker/broker.hpp"

#include "actors/shared/unrecorded_requests.hpp"
#include "runtime/broker/actor_factories.hpp"
#include "runtime/broker/broker_core.hpp"
#include "runtime/broker/refusing_actor.hpp"
#include "runtime/broker/request_check.hpp"
#include "runtime/sqlite/files/file_claims.hpp"
#include "runtime/sqlite/files/file_guard.hpp"
#include "runtime/store/led_folder.hpp"
#include "runtime/store/private_folder.hpp"

#include <algorithm>
#include <fcntl.h>
#include <thread>

namespace sluice {

broker_core::broker_core(broker_config cfg, store_root where, store_lock held, environment machine)
  : config(std::move(cfg)), env(std::move(machine)), time(*env.time), root(std::move(where)),
    held_folder(::open(root.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)), lock(std::move(held)),
    hits(std::make_shared<result_cache>(result_cache_settings{config.cache, config.cache_ttl, config.cache_max_bytes})),
    log(std::make_shared<log_queue>(
      log_limits{config.log_queue, config.log_batch, config.log_interval, config.log_max_message}, env.time)) {
  // Resolves links, so that a table is listed under the canonical name of its database.
  for (auto& table : config.buffer_tables)
    if (auto canonical = root.resolve(table.db))
      table.db = std::move(*canonical);
  policy.on_change([this](std::string_view text, bool is_mistake) {
    log->push(is_mistake ? log_level::warning : log_level::info, "policy", text, {});
    if (is_mistake)
      warn(text);
  });
}

caf::error broker_core::start(caf::actor_system* in) {
  try {
    if (!in)
      owned = std::make_unique<own_system>(
        config.scheduler_threads > 0 ? config.scheduler_threads : std::max(2U, std::thread::hardware_concurrency()));
    run_in_new_thread([&] { spawn(in ? in : &owned->get()); });
    // CAF runs the first step of an actor on its scheduler; the audit is registered in that step.
    static_cast<void>(ask<caf::pong_atom>(actors->supervisor(), caf::ping_atom_v));
    complete_audit();
    // After this answer, the audit has the orders to read all ledgers, which come before the first query for its
    // records.
    static_cast<void>(ask<caf::pong_atom>(actors->supervisor(), caf::ping_atom_v));
  } catch (const std::exception& error) {
    return make_error(errc::unavailable, std::string{"the broker cannot be started: "} + error.what());
  }
  auto error = why_failed();
  return error ? make_error(*error) : caf::error{};
}

void broker_core::spawn(caf::actor_system* in) {
  system = in;
  if (env.own_threads)
    make_pool();
  refusals = make_refusing_actor(*system);
  cursors = spawn_cursors(*this);
  actors->set(cursors);
  // The queue of the audit belongs to the registry.
  auto flush = [this](auto find) {
    return [find, weak = std::weak_ptr{actors}, access = access](std::chrono::milliseconds delay) {
      system_access::use use{*access};
      auto known = weak.lock();
      if (!use || !known)
        return;
      if (auto to = find(*known); to && delay.count() > 0)
        caf::delayed_anon_send(to, delay, caf::flush_atom_v);
      else if (to)
        caf::anon_send(to, caf::flush_atom_v);
    };
  };
  log->waker().set(flush([](const actor_registry& known) { return known.log(); }));
  actors->audit_records().waker().set(flush([](const actor_registry& known) { return known.audit(); }));
  stats->slow.on_warning([this](const std::string& warning, const std::string& agent) {
    log->push(log_level::warning, "slow", warning, agent);
    warn(warning);
  });
  descriptors->on_shortage([known = actors](const std::string& db) { close_early(*known, db); });
  supervisor_dependencies parts;
  parts.spawn = real_children(*this);
  parts.find = [this](const std::string& db, bool must_exist) { return find(db, must_exist); };
  parts.may_open = [this](const std::string& db) { return claim_folder_of(db); };
  parts.actors = actors;
  parts.time = &time;
  parts.bounds = bounds();
  parts.restart_limit = config.restart_limit;
  parts.restart_window = config.restart_window;
  auto supervisor = spawn_supervisor(*this, std::move(parts));
  actors->set(supervisor);
  caf::actor_cast<caf::strong_actor_ptr>(supervisor)->get()->attach_functor([this](const caf::error& error) {
    if (error)
      supervisor_ended();
  });
}

bounds_of_database broker_core::bounds() const {
  return [this](const std::string& db) {
    const auto& settings = config.of(db);
    return database_bounds{{settings.queue_max_requests, settings.queue_max_bytes}, settings.readers};
  };
}

void broker_core::record(const unrecorded_request& request, std::string_view status) {
  actors->audit_records().push({{record_of(request, status, wall_us(time))}, true});
}

void broker_core::warn(std::string_view text) {
  std::lock_guard guard{warning_mutex_};
  if (on_warning_)
    on_warning_(text);
}

void broker_core::on_warning(std::function<void(std::string_view)> callback) {
  std::lock_guard guard{warning_mutex_};
  on_warning_ = std::move(callback);
}

caf::expected<std::string> broker_core::resolve(const std::string& name) {
  // Clients may use any number of names, so the cache is bounded.
  constexpr size_t max_resolved = 1'024;
  {
    std::lock_guard guard{mutex_};
    if (resolved_.contains(name))
      return name;
  }
  auto canonical = root.resolve(name);
  if (!canonical)
    return canonical;
  if (auto error = in_child())
    return make_error(*error);
  std::lock_guard guard{mutex_};
  if (state_ != state::open || !lock || !lock->still_ours())
    return make_error(errc::unavailable, "this broker does not lead the store any more");
  if (resolved_.size() >= max_resolved)
    resolved_.clear();
  if (*canonical == name)
    resolved_.insert(name);
  return canonical;
}

namespace {

// SQLite would count locks that the kernel does not have, so other programs could reset the log that this process
// writes.
caf::error check_not_led_before_fork(const file_identity& folder) {
  if (!was_led_before_fork(folder))
    return {};
  return make_error(errc::unavailable,
                    "the process that this one was forked from had this store open, and SQLite in this "
                    "process still counts its locks; fork before you open the broker, or lead the "
                    "store from a program that is executed (sluice serve)");
}

} // namespace

caf::error broker_core::claim_folder_of(const std::string& canonical) {
  auto folder = identity_of(root.path_of(canonical).parent_path());
  // Without its folder SQLite cannot create the file either, and reports that.
  if (!folder || *folder == root.identity())
    return {};
  if (auto error = check_not_led_before_fork(*folder))
    return error;
  {
    std::lock_guard guard{mutex_};
    if (claims_.contains(*folder))
      return {};
    lock_conflict conflict{0, true, is_led_here(*folder)};
    auto claim = folder_claim::try_acquire(*folder, conflict.pid);
    if (!claim)
      return std::move(claim.error());
    if (!*claim)
      return busy_with(conflict, 1, std::chrono::milliseconds{0});
    (*claim)->begin_to_lead(*folder);
    claims_.emplace(*folder, std::move(**claim));
  }
  // The folder may have become a store of its own before it was claimed.
  auto still = root.resolve(canonical);
  if (still && *still == canonical)
    return {};
  std::lock_guard guard{mutex_};
  claims_.erase(*folder);
  return still ? make_error(errc::invalid_request, "db '" + canonical + "' leads to another file by now")
               : std::move(still.error());
}

caf::expected<broker> broker::open(broker_config config) { return lead(nullptr, std::move(config)); }

caf::expected<broker> broker::open(caf::actor_system& system, broker_config config) {
  return lead(&system, std::move(config));
}

caf::expected<broker> broker::open(broker_config config, store_root root, store_lock lock) {
  return start(nullptr, std::move(config), std::move(root), std::move(lock));
}

caf::expected<broker> broker::open(caf::actor_system& system, broker_config config, store_root root, store_lock lock) {
  return start(&system, std::move(config), std::move(root), std::move(lock));
}

caf::expected<broker> broker::lead(caf::actor_system* system, broker_config config) {
  if (auto error = check(config))
    return error;
  auto root = store_root::open(config.root);
  if (!root)
    return root.error();
  auto lock = store_lock::acquire(*root, config.lock_wait);
  if (!lock)
    return lock.error();
  return start(system, std::move(config), std::move(*root), std::move(*lock));
}

caf::expected<broker> broker::start(caf::actor_system* system, broker_config config, store_root root, store_lock lock) {
  if (auto error = check_for_locked(config))
    return error;
  if (auto error = check_not_led_before_fork(root.identity()))
    return error;
  lock.begin_to_lead(root);
  auto notices = secure_own_files(root);
  auto core = std::make_shared<broker_core>(std::move(config), std::move(root), std::move(lock));
  for (const auto& text : notices)
    core->log->push(log_level::warning, "files", text);
  if (auto error = core->start(system))
    return error;
  if (system)
    core->end_with(*system);
  return broker{std::move(core)};
}

namespace {

caf::error moved_away() { return make_error(errc::unavailable, "this broker object has been moved from"); }

} // namespace

broker& broker::operator=(broker&& other) noexcept {
  if (this != &other) {
    end(core_);
    core_ = std::move(other.core_);
  }
  return *this;
}

broker::~broker() { end(core_); }

// The front door uses the broker until it is closed.
void broker::end(const std::shared_ptr<broker_core>& core) noexcept {
  if (!core)
    return;
  // The threads belong to the parent, which ends the broker. Objects that handles refer to stay.
  if (core->in_child())
    static_cast<void>(new std::shared_ptr<broker_core>{core});
  else if (core->is_own_thread())
    core->end_later();
  else
    core->end();
}

caf::expected<database> broker::open_database(const std::string& name) {
  if (!core_)
    return moved_away();
  auto canonical = core_->root.resolve(name);
  if (!canonical) {
    unrecorded_request request;
    request.type = request_type::open;
    request.agent = "anonymous";
    request.db = name;
    record(request, to_string(code_of(canonical.error())));
    return canonical.error();
  }
  auto answer = core_->ask<caf::ok_atom>(core_->actors->supervisor(), caf::open_atom_v, *canonical);
  if (!answer)
    return answer.error();
  return opened(*canonical);
}

caf::expected<database> broker::find_database(const std::string& canonical) {
  if (!core_)
    return moved_away();
  auto answer = core_->ask<caf::ok_atom>(core_->actors->supervisor(), find_atom{}, canonical);
  if (!answer)
    return answer.error();
  return opened(canonical);
}

caf::error broker::close_database(const std::string& name) {
  auto canonical = resolve(name);
  if (!canonical)
    return std::move(canonical.error());
  auto answer = core_->ask<caf::ok_atom>(core_->actors->supervisor(), caf::close_atom_v, *canonical);
  return answer ? caf::error{} : std::move(answer.error());
}

caf::expected<std::string> broker::resolve(const std::string& name) const {
  return core_ ? core_->root.resolve(name) : moved_away();
}

database broker::opened(const std::string& canonical) const {
  return database{core_, core_->actors->opened(canonical)};
}

write_buffer broker::buffer() const { return write_buffer{core_}; }

caf::expected<audit_page> broker::audit(const audit_query& query) const {
  if (auto error = check(query))
    return make_error(std::move(*error));
  return core_->ask<audit_page>(core_->actors->audit(), query);
}

caf::expected<audit_verdict> broker::verify_audit() const {
  return core_->ask<audit_verdict>(core_->actors->audit(), verify_atom{});
}

caf::expected<audit_pruned> broker::prune_audit(const audit_prune& request) const {
  return core_->ask<audit_pruned>(core_->actors->audit(), request);
}

logger broker::logs() const { return logger{core_->log}; }

void broker::record(const unrecorded_request& request, std::string_view status) const {
  core_->record(request, status);
}

void broker::log(log_level level, std::string_view source, std::string_view message, std::string_view agent) const {
  core_->log->push(level, source, message, agent);
}

caf::expected<log_page> broker::recent_logs(const log_query& query) const {
  if (auto error = check(query))
    return make_error(std::move(*error));
  return core_->ask<log_page>(core_->actors->log(), query);
}

const std::shared_ptr<front_door_guard>& broker::door() const noexcept { return core_->door; }

retry_counters& broker::retries() const noexcept { return core_->stats->host_retries; }

void broker::reset_retries() const {
  core_->stats->host_retries.reset();
  for (auto* context : core_->actors->contexts())
    context->retries().reset();
}

void broker::on_warning(std::function<void(std::string_view)> callback) const {
  core_->on_warning(std::move(callback));
}

capsule_authority& broker::capsules() const noexcept { return core_->capsules; }

std::optional<failure> broker::why_failed() const { return core_->why_failed(); }

void broker::on_failure(std::function<void(const failure&)> callback) const {
  // The callback may destroy this broker.
  auto core = core_;
  core->on_failure(std::move(callback));
}

void broker::serve(const std::function<void()>& work) const {
  lent_thread thread{core_->pool.get(), lent_thread::duty::serves};
  work();
  thread.run([] { return false; });
}

const broker_config& broker::config() const noexcept { return core_->config; }

const store_root& broker::root() const noexcept { return core_->root; }

bool broker::still_leads() const noexcept { return core_->lock && core_->lock->still_ours(); }

caf::actor_system& broker::system() const noexcept { return *core_->system; }

actor_registry& broker::actors() const noexcept { return *core_->actors; }

caf::error broker::shutdown() {
  if (!core_)
    return {};
  // Another thread may destroy this broker meanwhile.
  auto core = core_;
  return core->shutdown();
}

} // namespace sluice
