#pragma once

#include "actors/base/request_ids.hpp"
#include "actors/buffer/buffered_database.hpp"
#include "actors/buffer/flush_batch.hpp"
#include "actors/shared/buffer_view.hpp"
#include "messages/buffer.hpp"
#include "messages/error.hpp"
#include "messages/write.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

struct write_behind_settings {
  std::chrono::milliseconds interval{5'000};
  /// Operations of one request; as many rows of a database are written at once.
  uint64_t batch = 100;
  /// Rows that may be pending, and their bytes. Callers may fill four fifths of it; the rest is for rows taken back.
  uint64_t max_pending = 1'000;
  uint64_t max_bytes = 64ULL << 20;
  /// For the requests that write them.
  std::chrono::milliseconds write_deadline{30'000};
  /// Tables with an interval or a priority of their own.
  std::vector<buffered_table_rules> tables;
};

/// What has become of one request to a writer.
struct flush_outcome {
  enum class kind : uint8_t {
    /// It is in the database.
    written,
    /// It may be sent again later, and is kept as it is until then.
    kept,
    /// The database refused it; the next requests are halves of it.
    halved,
    /// It was a single operation, and the database refused it.
    set_aside,
  };

  kind what = kind::written;
  std::string db;
  /// The idempotency key of the request, and whether the journal knows it.
  std::string key;
  bool journaled = false;
  /// What is settled by it.
  std::vector<outgoing_operation> completed;
  /// Why it was not written.
  failure why;
  uint64_t commit_seq = 0;
};

/// An operation that this buffer is not going to write.
struct unwritten_operation {
  outgoing_operation operation;
  /// Why the last request to its database failed; without a message when none has.
  failure why;
  /// Whether it may be in the database all the same.
  bool in_doubt = false;
};

/// The rows of all databases that wait to be written, and the requests that write them: what is due, in which order, in
/// which portions, and what comes next when one fails. One request is under way per database.
///
/// Owned and called by the buffer actor; needs no CAF to be tested.
class write_behind {
public:
  write_behind(write_behind_settings settings, const clock& time, uint64_t seed);

  bool would_merge(const checked_operation& x) const;

  /// Whether another row may be put beside `reserved` others.
  bool has_room(uint64_t reserved) const;

  /// How many rows there is room for that the database had refused and that are to be tried again.
  uint64_t room_for_rejected() const;

  /// @returns whether it was merged into a row that waited
  bool add(checked_operation x);

  /// Takes over what a journal holds, before anything else is put. All of it is due.
  void recover(journal_content content);

  /// The request to send to the database now; null when nothing is due, or its last one is still under way. Ask for it
  /// again until `sent` or `finish` is called.
  flush_batch* next(const std::string& db);
  const journal_batch& request_of(flush_batch& batch, const std::string& db);
  void sent(const std::string& db);

  /// The answer to the request that was under way.
  flush_outcome finish(const std::string& db, const caf::expected<write_result>& answer);

  /// The request could not be sent, which is not its fault.
  flush_outcome postpone(const std::string& db, failure why);

  /// Everything put so far is due from now on, or that of one table.
  void want(const std::string& db, const std::string& table);

  /// From now on everything is due at once, also what waits for another try.
  void close() noexcept;

  /// When `next` may have something for a database by itself; `max` when never.
  clock::steady next_due() const;

  std::vector<std::string> databases() const;

  /// Rows that wait for operations up to `number`, those under way included; an empty table means all.
  uint64_t pending(const std::string& db, const std::string& table, uint64_t number) const;
  uint64_t pending() const noexcept;
  uint64_t number() const noexcept { return number_; }

  struct overlay {
    /// Whether the row can be told without asking the database to execute the operations.
    bool certain = true;
    /// Whether it is so as soon as the request under way is answered.
    bool wait = false;
    uint64_t operations = 0;
  };

  /// Applies what waits for the row to `image`.
  overlay apply(const checked_key& key, row_image& image) const;

  /// Grows whenever something was written to the table.
  uint64_t generation(const std::string& db, const std::string& table) const;

  /// Forgets everything that waits, and says what it was.
  std::vector<unwritten_operation> give_up();

  void describe(buffer_view& to) const;

private:
  struct attempt {
    flush_batch batch;
    bool under_way = false;
    /// The last answer left open whether it is written.
    bool in_doubt = false;
    failure why{};
    uint64_t failures = 0;
    uint64_t timeouts = 0;
    clock::steady retry_at{};
  };

  struct database {
    buffered_database rows;
    std::optional<attempt> now;
    // Batches of a journal, to be sent before anything else.
    std::vector<flush_batch> recovered;
    std::map<std::string, uint64_t> generations;
  };

  buffered_table_rules rules_for(const std::string& db, const std::string& table) const;
  static bool is_transient(const failure& why, attempt& x);
  flush_outcome outcome_for(const std::string& name, attempt& x) const;
  void keep(attempt& x, flush_outcome& out) const;
  std::chrono::milliseconds pause_after(const failure& why, const attempt& x) const;
  void complete(database& db, flush_outcome& out);
  bool is_pressed() const;

  const write_behind_settings settings_;
  const clock& time_;
  request_ids ids_;
  std::map<std::string, database> databases_;
  uint64_t number_ = 0;
  bool closing_ = false;
};

} // namespace sluice
