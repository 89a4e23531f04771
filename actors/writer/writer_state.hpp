#pragma once

#include "actors/shared/fair_queue.hpp"
#include "actors/writer/group_commit.hpp"
#include "actors/writer/schema_barrier.hpp"
#include "actors/writer/writer.hpp"

#include <optional>

namespace sluice {

/// The state of the writer; for its sources only.
struct writer_state {
  writer_state(writer_actor::pointer me, writer_dependencies dependencies);

  struct waiting {
    write_request request;
    reply<write_result> to;
  };

  // writer.cpp: group commits.
  void take(write_request request, reply<write_result> to);
  void apply(group_commit::step step);
  void finish_group();
  void wait_for_turn(waiting next);
  void take_turns();
  void serve_turns();
  void note_slow(group_commit::finished_group& done);
  void checkpoint_if_grown(bool may_take_time);
  void checkpoint();
  void checkpoint_late();
  bool checkpoint_counted(checkpoint_mode mode);
  void bound_log();
  void end_cursors();
  void restart_log(bool is_quiet);
  void tidy(uint64_t group_number);
  void prune_if_due();
  void prune();
  void end_pruning();
  void truncate_wal();
  void close_idle_later();
  void close_idle(uint64_t group_number);
  void close();

  // writer_schema.cpp: schema changes, and the requests after them, wait for the rows of the write-behind buffer.
  void add(write_request request, reply<write_result> to);
  void hold(write_request request, reply<write_result> to);
  void quiesce_buffer();
  std::optional<failure> pending_rows_error(const caf::expected<flush_report>& answer) const;
  void quiesced(const caf::expected<flush_report>& answer);
  void expire_at(clock::steady deadline);
  void expire_held();
  void resume_buffer();
  void refuse_held(const failure& why);

  writer_actor::pointer self;
  writer_dependencies parts;
  // Declared after `parts`, so that waiting requests are answered while the store exists.
  group_commit group;
  schema_barrier barrier;
  // The waiting requests, when there are more than fit one group.
  fair_queue<waiting> turns;
  bool by_turns = false;
  // The buffer takes no operations until it has received the notification of the schema change.
  bool resume_due = false;
  // When to check the held requests next.
  clock::steady next_expiry = clock::steady::max();
  // Whether the writer has asked the cache to start no reads, so that the log can restart; and the earliest time of the
  // next such request.
  bool quiesces_reads = false;
  clock::steady next_quiescence{};
  // The log has grown; the message that asks for a checkpoint was sent; or the message came while a group was open, so
  // the checkpoint is made at the end of the group.
  bool checkpoint_is_due = false;
  bool checkpoint_is_sent = false;
  bool checkpoint_is_late = false;
  // The bytes that the last checkpoint left in the log.
  uint64_t pinned_wal_bytes = 0;
  // The log's file has grown, and keeps its size across restarts of the log until it is truncated.
  bool has_large_log = false;
  // The log has exceeded its bound; the obstacle to its restart may end soon.
  bool log_is_full = false;
  bool retries_soon = false;
  // When to search next for old commit records; whether the audit was queried, or some are being removed; the commit
  // before which records may be removed; and whether the message that removes some came while a group was open.
  clock::steady next_pruning{};
  bool prunes = false;
  uint64_t first_kept = 0;
  bool pruning_is_late = false;
  bool idle_armed = false;
  bool retry_armed = false;
  static inline const char* name = "writer";
};

} // namespace sluice
