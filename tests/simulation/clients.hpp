#pragma once

#include "tests/simulation/client_keys.hpp"
#include "tests/simulation/waiting.hpp"
#include "tests/simulation/world.hpp"

#include <vector>

namespace sluice::simulation {

/// The clients of a run: each runs its program, in order, and records its answers.
class clients {
public:
  clients(const plan& script, world& where, dice& luck, trace& trace);

  /// Starts the next request of a client; false when none may start one.
  bool begin_one();
  /// Whether all programs have ended and all requests are answered.
  bool done() const;
  /// Requests without an answer.
  std::string open_requests() const;
  /// Whether the tables of a database are known to exist.
  bool created(uint32_t db) const;
  bool creating() const {
    return !seen.writes.empty() && seen.writes.back().planned.steps.front().action == verb::create;
  }
  uint64_t open() const noexcept { return open_; }
  uint64_t begun() const noexcept { return begun_; }

  /// Notes that the process has died: no request will be answered. `newest` has the newest commit of each database that
  /// may have lost acknowledged commits.
  void process_died(const std::vector<std::optional<uint64_t>>& newest);

  /// Makes a client with a request under way leave; the outcome stays unknown to it. False when there is none.
  bool leave_one();

  /// Makes a client cancel its request under way. False when there is none.
  bool cancel_one();

  /// Notes that a backup that ends with commit `seq`, and has `foreign` external commits, has replaced a database.
  void restored(uint32_t db, backup source);
  /// Sets whether the audit may lack the records that it had not written.
  void audit_may_lose(bool it_does) {
    if (it_does)
      seen.audit_losses.push_back(++seen.event);
  }
  /// Notes that acknowledged commits after `newest` of a database are lost.
  void forget_after(uint32_t db, uint64_t newest);

  /// Requests of the harness itself, sent at once: a flush of everything, and a question.
  void flush();
  void ask(uint32_t db, question asked, int64_t key, freshness mode);
  void create(uint32_t db);

  history seen;

private:
  struct client {
    const std::vector<operation>* program;
    size_t next = 0;
    uint64_t open = 0;
    std::vector<operation> again;
    std::array<uint64_t, 2> known{};
  };

  void begin(size_t who, const operation& planned);
  void write(size_t who, const operation& planned);
  void read(size_t who, const operation& planned);
  void put(size_t who, const operation& planned);
  void get(size_t who, const operation& planned);
  void flush(size_t who, const operation& planned);
  void write_answered(write_attempt& attempt, const caf::expected<write_result>& answer);
  void read_answered(read_attempt& attempt, const caf::expected<read_result>& answer);
  void refused(attempt& attempt, const caf::error& error);
  template <class Attempt> Attempt& note(std::deque<Attempt>& in, size_t who, const operation& planned);
  bool sent(attempt& attempt, uint64_t life);
  void note_newest(read_attempt& attempt) const;
  bool end(attempt& attempt, uint64_t life);
  void check_wait(const attempt& attempt);
  std::vector<attempt*> under_way();
  void tell(const attempt& attempt, std::string_view action, std::string_view more = {});

  world& world_;
  dice& luck_;
  trace& trace_;
  const bool timed_;
  const waiting_rules waiting_;
  std::vector<client> clients_;
  client_keys keys_;
  uint64_t life_ = 0;
  uint64_t open_ = 0;
  uint64_t begun_ = 0;
  uint64_t ids_ = 0;
  uint64_t entries_ = 0;
};

} // namespace sluice::simulation
