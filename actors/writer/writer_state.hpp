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
  void checkpoint_counted(checkpoint_mode mode);
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
  group_commit group;
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
  // The log has grown; the message that asks for a checkpoint is under way; or it came while a group was open, and the
  // checkpoint is made at the end of that.
  bool checkpoint_is_due = false;
  bool checkpoint_is_sent = false;
  bool checkpoint_is_late = false;
  // The log's file has grown, and keeps its size when the log begins anew, until it is cut.
  bool has_large_log = false;
  // The log has passed its bound; what kept it from beginning anew may end soon.
  bool log_is_full = false;
  bool retries_soon = false;
  // When old commit records are looked for next; whether the audit was asked, or some are being removed; those before
  // which commit; and whether the message that removes some came while a group was open.
  clock::steady next_pruning{};
  bool prunes = false;
  uint64_t first_kept = 0;
  bool pruning_is_late = false;
  bool idle_armed = false;
  bool retry_armed = false;
  static inline const char* name = "writer";
};

} // namespace sluice
