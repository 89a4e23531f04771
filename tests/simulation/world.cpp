#include "tests/simulation/world.hpp"

#include <caf/atom.hpp>

#include <algorithm>
#include <stdexcept>
#include <unistd.h>

namespace sluice::simulation {

namespace {

using namespace std::chrono_literals;

// The nesting is not deeper than the number of threads that could wait for the disk at the same time.
constexpr uint32_t deepest = 4;

broker_config make_config(const settings& set, const std::filesystem::path& root) {
  broker_config result;
  result.root = root;
  result.synchronous = set.normal ? synchronous_mode::normal : synchronous_mode::full;
  result.buffer_journal = set.journal;
  result.cache = set.cache;
  result.readers = set.readers;
  result.group_max_requests = set.group;
  result.checkpoint_wal_bytes = set.checkpoint_bytes;
  result.ledger_max_bytes = set.ledger_bytes;
  result.queue_max_requests = set.queue;
  result.buffer_max_pending = set.buffer_pending;
  result.page_cache_bytes = 1ULL << 20;
  // Some worlds close and open databases all the time.
  result.close_idle_after = set.journal ? 200ms : 300s;
  return result;
}

std::string_view name_of(caf::resumable* job) {
  auto* actor = dynamic_cast<caf::local_actor*>(job);
  std::string_view name = actor ? actor->name() : "?";
  // The actors of the harness, one for each request, have none.
  return name == "scheduled_actor" ? "messenger" : name;
}

// Whether the next message of a reader is a slow query.
bool reads_slowly(caf::resumable* job) {
  auto* actor = dynamic_cast<caf::scheduled_actor*>(job);
  // size() moves sent messages into the mailbox.
  auto* message = actor && actor->mailbox().size() > 0 ? actor->mailbox().peek() : nullptr;
  return message && message->content().match_elements<run_read>()
         && message->content().get_as<run_read>(0).request.query.sql.str().find("simulated_work") != std::string::npos;
}

std::string front_of_mailbox(caf::resumable* job) {
  auto* actor = dynamic_cast<caf::scheduled_actor*>(job);
  auto* message = actor ? actor->mailbox().peek() : nullptr;
  return message ? to_string(message->content()).substr(0, 160) : std::string{};
}

} // namespace

// The audit has the path, so its length must be fixed for the content of the disk to be the same.
run_folder::run_folder() {
  constexpr size_t length = 120;
  auto base = (std::filesystem::temp_directory_path() / "sluice-simulation-").string();
  auto process = std::to_string(getpid());
  base += std::string(length - std::min(length, base.size() + process.size()), '0') + process;
  path_ = base;
  std::filesystem::remove_all(path_);
  std::filesystem::create_directories(path_);
}

run_folder::~run_folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

world::config::config() {
  set("scheduler.policy", caf::atom("testing"));
  set("logger.verbosity", caf::atom("quiet"));
  sluice::add_message_types(*this);
}

world::world(const settings& set, dice& luck, trace& trace) : set_(set), luck_(luck), trace_(trace) {
  system_.await_actors_before_shutdown(false);
  auto wait_for = [this](auto by) { wait(std::chrono::duration_cast<std::chrono::microseconds>(by)); };
  disk_ = std::make_unique<memory_disk>(luck.next(), wait_for);
  sqlite::fault_hooks hooks;
  hooks.sleep = wait_for;
  hooks.kill = [this] {
    if (std::exchange(died_, true))
      return;
    trace_.note(*time_, "machine", lost_power_ ? "the power is cut" : "the process dies");
    disk_->cut_power();
  };
  faults_ = std::make_unique<sqlite::fault_vfs>(std::move(hooks));
}

world::~world() { end(); }

void world::end() {
  if (core_)
    die(true);
}

caf::scheduler::test_coordinator& world::sched() {
  return dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
}

void world::boot() {
  ++life_;
  ready_ = closing_ = closed_ = died_ = lost_power_ = false;
  trace_.note(*time_, "machine", "a broker starts");
  auto root = store_root::open(folder_.path());
  if (!root)
    throw std::runtime_error("the folder cannot be opened: " + describe(root.error()).message);
  auto lock = store_lock::acquire(*root, 5s);
  if (!lock)
    throw std::runtime_error("the store cannot be led: " + describe(lock.error()).message);
  environment env;
  env.time = time_;
  env.own_threads = false;
  env.seed = [this] { return luck_.next(); };
  auto chosen = configured_ ? *configured_ : make_config(set_, folder_.path());
  core_ = std::make_shared<broker_core>(std::move(chosen), std::move(*root), std::move(*lock), env);
  core_->spawn(&system_);
  front_.emplace(core_);
  auto left = std::make_shared<uint32_t>(set_.databases);
  auto open = [this, life = life_, left](caf::ok_atom) {
    if (life == life_ && --*left == 0)
      ready_ = true;
  };
  system_.spawn([this, life = life_, open](caf::event_based_actor* self) {
    self->request(core_->actors->supervisor(), caf::infinite, caf::ping_atom_v).then([=, this](caf::pong_atom) {
      if (life != life_ || died_)
        return;
      core_->complete_audit();
      ready_ = set_.databases == 0;
      for (uint32_t i = 0; i < set_.databases; ++i)
        front_->open_database(self, database_names[i]).then(open, [](const caf::error&) {});
    });
  });
}

void world::close() {
  if (std::exchange(closing_, true))
    return;
  trace_.note(*time_, "machine", "the broker is to close");
  system_.spawn([this, life = life_](caf::event_based_actor* self) {
    auto done = [this, life] { closed_ = closed_ || life == life_; };
    self->request(core_->actors->supervisor(), caf::infinite, caf::close_atom_v)
      .then([done](caf::ok_atom) { done(); }, [done](const caf::error&) { done(); });
  });
}

void world::leave(const std::function<void()>& on_death) {
  trace_.note(*time_, "machine", "the broker has closed");
  core_->leave();
  drain();
  front_.reset();
  core_.reset();
  // A fault may have hit its last operation.
  if (died_) {
    disk_->cut_power();
    if (on_death)
      on_death();
    restart(lost_power_);
  }
}

std::vector<caf::actor> world::actors() const {
  std::vector<caf::actor> result;
  auto add = [&](const auto& each) {
    if (each)
      result.push_back(caf::actor_cast<caf::actor>(each));
  };
  auto& known = *core_->actors;
  // Ends first, so that it sees no actor end.
  add(known.supervisor());
  for (auto* context : known.contexts())
    if (auto route = context->last_route())
      add(route->writer);
  add(known.cache());
  add(known.audit());
  add(known.buffer());
  add(known.log());
  return result;
}

void world::restart(bool power) {
  if (!power)
    return disk_->restart_after_kill();
  time_->reboot();
  disk_->restart(luck_.engine());
}

void world::die(bool power) {
  trace_.note(*time_, "machine", power ? "is off" : "has lost its process");
  ready_ = false;
  ++life_;
  disk_->cut_power();
  for (auto& actor : actors())
    caf::anon_send_exit(actor, caf::exit_reason::kill);
  drain();
  core_->abandon();
  drain();
  front_.reset();
  core_.reset();
  if (auto open = disk_->open_files(); open > 0)
    throw std::logic_error(std::to_string(open) + " files are still open after the process has ended");
  restart(power);
  died_ = false;
}

// Runs actors that were asked to end, without advancing the time and without an observer.
void world::drain() {
  for (auto steps = 0; steps < 100'000; ++steps) {
    sched().clock().cancel_all();
    if (!sched().try_run_once())
      return ready_to_run_.forget();
  }
  throw std::logic_error("the actors do not end");
}

caf::resumable* world::choose() {
  auto& jobs = sched().jobs;
  size_t i = 0;
  switch (set_.by) {
  case order::first_come: i = luck_.chance(90) ? 0 : luck_.pick(jobs.size()); break;
  case order::last_come: i = luck_.chance(90) ? jobs.size() - 1 : luck_.pick(jobs.size()); break;
  case order::one_waits:
    if (waits_for_ == 0) {
      waits_ = name_of(jobs[luck_.pick(jobs.size())]);
      waits_for_ = luck_.pick(60);
    } else {
      --waits_for_;
    }
    i = luck_.pick(jobs.size());
    for (size_t tries = 0; tries < jobs.size() && waits_ == name_of(jobs[i]); ++tries)
      i = (i + 1) % jobs.size();
    break;
  case order::any: i = luck_.pick(jobs.size());
  }
  auto next = [&](auto may_run) {
    for (size_t tries = 0; tries < jobs.size(); ++tries)
      if (auto at = (i + tries) % jobs.size(); may_run(jobs[at]))
        return std::optional<size_t>{at};
    return std::optional<size_t>{};
  };
  std::optional<size_t> found;
  if (is_late())
    found = next([this](caf::resumable* x) { return ready_to_run_.waits(x) && !is_held_back(x); });
  if (!found)
    found = next([this](caf::resumable* x) { return !is_held_back(x); });
  i = found.value_or(i);
  std::swap(jobs[0], jobs[i]);
  return jobs[0];
}

bool world::step() {
  if (died_ || sched().jobs.empty() || (executes_ && runnable().empty()))
    return false;
  forget_held_back(nullptr);
  auto* job = choose();
  forget_held_back(job);
  trace_.mix(name_of(job));
  if (trace_.keeps())
    trace_.say(*time_, name_of(job), "takes " + front_of_mailbox(job));
  auto running = ready_to_run_.begins(job);
  auto result = sched().try_run_once();
  ready_to_run_.ends(running, sched().jobs);
  return result;
}

void world::advance(std::chrono::milliseconds by) {
  while (by.count() > 0) {
    auto now = std::min(by, readiness::tolerance);
    ready_to_run_.time_passes(runnable(), time_->now(), now);
    time_->advance(now);
    sched().advance_time(now);
    by -= now;
  }
}

void world::pass(std::chrono::milliseconds by) {
  for (; by.count() > 0 && sched().jobs.empty(); by -= std::min(by, readiness::tolerance))
    advance(std::min(by, readiness::tolerance));
}

// Runs other actors while one waits for the disk or for a lock, as on threads of their own.
void world::wait(std::chrono::microseconds by) {
  if (died_)
    return;
  auto until = time_->now() + by;
  if (depth_ < deepest) {
    ++depth_;
    meanwhile();
    for (auto steps = luck_.pick(12); steps > 0 && !died_; --steps)
      if (!step())
        break;
    while (set_.timed && !died_ && time_->now() < until) {
      while (is_late() && step())
        ;
      advance(
        std::clamp(std::chrono::ceil<std::chrono::milliseconds>(until - time_->now()), 0ms, readiness::tolerance / 2));
    }
    --depth_;
  }
  auto left = until - time_->now();
  if (left.count() > 0)
    advance(std::chrono::ceil<std::chrono::milliseconds>(left));
}

// Only one statement spends execution time, because other actors, which run meanwhile, would keep it from continuing: a
// write spends none during a read, and a read waits for the end of either.
bool world::execute_for(std::chrono::milliseconds by) {
  if (died_ || !is_up() || executes_)
    return false;
  executes_ = true;
  for (auto* job : sched().jobs)
    if (is_held_back(job))
      ready_to_run_.excuse(job);
  wait(by);
  hold_back_readers();
  executes_ = false;
  return true;
}

bool world::is_held_back(caf::resumable* resumable) const {
  auto may_run = !executes_ && (held_back_.empty() || held_back_.front() == resumable);
  return !may_run && name_of(resumable) == "reader" && reads_slowly(resumable);
}

void world::hold_back_readers() {
  for (auto* job : sched().jobs)
    if (is_held_back(job) && std::find(held_back_.begin(), held_back_.end(), job) == held_back_.end())
      held_back_.push_back(job);
}

// Runs `run` now. Other readers may have ended, or their query was cancelled.
void world::forget_held_back(caf::resumable* run) {
  const auto& jobs = sched().jobs;
  std::erase_if(held_back_, [&](caf::resumable* resumable) {
    return resumable == run || std::find(jobs.begin(), jobs.end(), resumable) == jobs.end() || !reads_slowly(resumable);
  });
}

std::deque<caf::resumable*> world::runnable() {
  auto result = sched().jobs;
  std::erase_if(result, [this](caf::resumable* x) { return is_held_back(x); });
  return result;
}

void world::cancel(const std::string& request_id) {
  front_->cancel_write(request_id, [](const ticket&) { return true; });
  caf::anon_send(core_->actors->cache(), cancel_atom{}, request_id);
}

void world::kill(incident::kind whom, uint32_t db) {
  auto& known = *core_->actors;
  auto end = [](const auto& each) {
    if (each)
      caf::anon_send_exit(each, caf::exit_reason::kill);
  };
  using kind = incident::kind;
  switch (whom) {
  case kind::kill_writer:
    if (auto route = known.context(database_names[db]).route())
      end(route->writer);
    break;
  case kind::kill_cache: end(known.cache()); break;
  case kind::kill_audit: end(known.audit()); break;
  case kind::kill_buffer: end(known.buffer()); break;
  case kind::kill_log: end(known.log()); break;
  case kind::kill_reader:
    if (auto readers = known.context(database_names[db]).readers(); !readers.empty())
      end(readers[luck_.pick(readers.size())]);
    break;
  default: break;
  }
}

void world::when_buffer_ends(std::function<void()> f) {
  if (auto buffer = core_->actors->buffer())
    caf::actor_cast<caf::actor>(buffer)->attach_functor([f = std::move(f)](const caf::error&) { f(); });
}

uint64_t world::digest() const { return disk_->digest(); }

} // namespace sluice::simulation
