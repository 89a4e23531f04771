#pragma once

#include "messages/read.hpp"
#include "runtime/store/config.hpp"
#include "tests/simulation/model.hpp"

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace sluice::simulation {

/// A source of random decisions, which are the same on every machine, unlike those of the standard library.
class dice {
public:
  explicit dice(uint64_t seed) : engine_(seed) {}

  /// From 0 to before `n`. @pre n > 0
  uint64_t pick(uint64_t n) { return engine_() % n; }
  bool chance(uint64_t percent) { return pick(100) < percent; }
  uint64_t next() { return engine_(); }
  std::mt19937_64& engine() noexcept { return engine_; }

private:
  std::mt19937_64 engine_;
};

/// One request of a client.
struct operation {
  enum class kind : uint8_t { write, read, put, get, flush, log };

  kind type = kind::read;
  uint32_t db = 0;
  std::vector<step> steps;
  /// The number of a write's idempotency key, 0 for none.
  uint64_t key = 0;
  /// How often a keyed write is sent again when its outcome is unknown or its refusal is temporary.
  uint64_t retries = 0;
  std::chrono::milliseconds deadline{0};
  /// How long a write or read is executed; its step or question says so.
  std::chrono::milliseconds work{0};
  question asked = question::one;
  /// The register asked for, or the row of a buffered operation.
  int64_t argument = 0;
  sluice::freshness freshness = freshness::cached;
  /// Whether a read requires the newest commit that its client knows.
  bool since_own = false;
  /// The number of the agent name of a read, 0 for the client's own name.
  uint64_t alias = 0;
  /// Of a put: nothing deletes the row; without `b` only `a` is set.
  std::optional<int64_t> a;
  std::optional<int64_t> b;
  bool erases = false;
  /// Whether it begins only when everything before it has been answered.
  bool waits = true;
};

std::string to_string(const operation& op);

/// A fault, or another event outside of the broker.
struct incident {
  enum class kind : uint8_t {
    kill_writer,
    kill_reader,
    kill_cache,
    kill_audit,
    kill_buffer,
    kill_log,
    kill_process,
    cut_power,
    reopen,
    disk_error,
    disk_full,
    slow_disk,
    dies_at_disk,
    loses_power_at_disk,
    heal,
    foreign_lock,
    foreign_commit,
    passing_time,
    remove_log,
    clock_jump,
    client_leaves,
    copy_store,
    take_backup,
    restore_backup,
    overwrite_with_backup,
    cancel_request,
  };

  /// The number of begun operations after which it happens, and the number of steps after that.
  uint64_t after = 0;
  uint64_t steps = 0;
  kind type = kind::kill_writer;
  uint32_t db = 0;
  /// The file and operation of the disk, and the number of operations that pass first.
  uint32_t file = 0;
  uint32_t disk = 0;
  uint64_t skip = 0;
  uint64_t times = 1;
  std::chrono::milliseconds time{0};
};

/// Whether the incident gives the broker no reason to refuse a request.
bool is_harmless(incident::kind kind) noexcept;

std::string to_string(const incident& event);

/// The order in which ready actors run.
enum class order : uint8_t { any, first_come, last_come, one_waits };

struct settings {
  bool normal = false;
  bool journal = false;
  bool cache = true;
  order by = order::any;
  uint32_t databases = 1;
  uint64_t readers = 2;
  uint64_t group = 4'096;
  uint64_t checkpoint_bytes = 4ULL << 20;
  uint64_t queue = 10'000;
  uint64_t buffer_pending = 1'000;
  /// The bytes of commit records that a database keeps; 0 for all.
  uint64_t ledger_bytes = 0;
  /// Statements take time, and ready actors run soon.
  bool timed = false;
};

/// A run, except for the order of concurrent events, which `seed` decides. It is plain data, so that shrinking can
/// leave parts out.
struct plan {
  uint64_t seed = 0;
  settings set;
  std::vector<std::vector<operation>> clients;
  std::vector<incident> incidents;

  uint64_t operations() const;
};

/// The kinds of incidents that a plan may have.
struct mischief {
  bool actors = true;
  bool processes = true;
  bool disk = true;
  bool foreigners = true;
  /// Files removed, replaced and copied, the wall clock set, clients that go away.
  bool everyday = true;
};

plan make_plan(uint64_t seed, mischief allowed = {});

/// Makes a plan one of waiting, in some seeds: statements take time, one client more sends many of them, and clients
/// cancel and leave.
void add_crowd(plan& plan, const mischief& allowed);

std::string to_string(const plan& plan);

/// The databases of every run.
inline const std::array<std::string, 2> database_names{"app.db", "other.db"};

} // namespace sluice::simulation
