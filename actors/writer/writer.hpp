#pragma once

#include "actors/base/clock.hpp"
#include "actors/shared/actor_registry.hpp"
#include "actors/shared/actor_stats.hpp"
#include "actors/shared/fair_queue.hpp"
#include "actors/writer/group_commit.hpp"
#include "actors/writer/schema_barrier.hpp"
#include "actors/writer/write_store.hpp"
#include "messages/interfaces.hpp"

#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <optional>

namespace sluice {

/// With `close_idle_atom`: whichever group was the last, if the files are to be closed early.
inline constexpr auto any_group = std::numeric_limits<uint64_t>::max();

struct writer_settings {
  group_settings group;
  /// The WAL is moved into the file when it has grown past this many bytes.
  uint64_t checkpoint_wal_bytes = 4ULL << 20;
  /// When the WAL has grown to half of this, new reads wait until it begins anew.
  uint64_t max_log_bytes = 64ULL << 20;
  /// How long they wait at most. If reads under way take longer, the next try comes after ten times that.
  std::chrono::milliseconds quiesce_time{2'500};
  /// After this long without a write old keys are forgotten, all of them, and the WAL is truncated.
  std::chrono::milliseconds idle_after{1'000};
  /// After this long without a request the file is closed, until the next one; 0 means never.
  std::chrono::milliseconds close_idle_after{0};
};

/// What a writer works with; the store is its own, the rest outlives it.
struct writer_dependencies {
  std::unique_ptr<write_store> store;
  database_context* context = nullptr;
  std::shared_ptr<write_quota> queue;
  std::shared_ptr<actor_registry> actors;
  const clock* time = nullptr;
  writer_settings settings;
  uint64_t seed = 0;
  /// Tells operators what was done to the files of the database. Thread-safe; may be empty.
  std::function<void(const std::string&)> warn{};
  /// Whether the file, which is not in use, is to be closed although it was not idle for long. May be empty.
  std::function<bool()> is_to_be_closed{};
  std::shared_ptr<actor_stats> stats = std::make_shared<actor_stats>();
};

struct writer_state {
  explicit writer_state(writer_actor::pointer me) : self(me) {}

  struct waiting {
    write_request request;
    reply<write_result> to;
  };

  // writer.cpp: group commits.
  void start(writer_dependencies x);
  void take(write_request request, reply<write_result> to);
  void apply(group_commit::step next);
  void finish_group();
  void wait_for_turn(waiting x);
  void take_turns();
  void serve_turns();
  void note_slow(group_commit::finished_group& done);
  void checkpoint_if_grown();
  void bound_log();
  void end_cursors();
  void restart_log(bool is_quiet);
  void tidy(uint64_t group_number);
  void truncate_wal();
  void close_idle_later();
  void close_idle(uint64_t group_number);
  void close();

  // writer_schema.cpp: schema changes wait for the rows of the write-behind buffer, and the requests behind them too.
  void add(write_request request, reply<write_result> to);
  void hold(write_request request, reply<write_result> to);
  void quiesce_buffer();
  std::optional<failure> why_rows_wait(const caf::expected<flush_report>& answer) const;
  void quiesced(const caf::expected<flush_report>& answer);
  void expire_at(clock::steady deadline);
  void expire_held();
  void resume_buffer();
  void refuse_held(const failure& why);

  writer_actor::pointer self;
  writer_dependencies parts;
  // After the parts, so that what still waits is answered while the store is there.
  std::unique_ptr<group_commit> group;
  schema_barrier barrier;
  // What waits while it is more than fits one group.
  fair_queue<waiting> turns;
  bool by_turns = false;
  // The buffer takes no operations until the writer has sent it the schema change.
  bool resume_due = false;
  // When the requests that are held back are looked at next.
  clock::steady next_expiry = clock::steady::max();
  // The cache has been asked to start no reads, so that the log can begin anew; and before this it is not asked again.
  bool quiesces_reads = false;
  clock::steady next_quiescence{};
  // The log's file has grown, and keeps its size when the log begins anew, until it is cut.
  bool has_large_log = false;
  // The log has passed its bound; what kept it from beginning anew may end soon.
  bool log_is_full = false;
  bool retries_soon = false;
  bool idle_armed = false;
  bool retry_armed = false;
  static inline const char* name = "writer";
};

/// The behavior of a database's writer. It blocks in SQLite: spawn it where that keeps no other actor waiting.
writer_actor::behavior_type writer(writer_actor::stateful_pointer<writer_state> self,
                                   std::shared_ptr<writer_dependencies> parts);

} // namespace sluice
