#pragma once

#include "actors/base/clock.hpp"
#include "messages/cursor.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sluice {

/// The bounds of the cursors of a broker.
struct cursor_limits {
  uint64_t max_open = 64;
  /// The maximum for one agent.
  uint64_t max_per_agent = 8;
  /// The maximum number of pages that are made concurrently, each on a thread.
  size_t max_pages_at_once = 4;
  /// Used when the client sets no other.
  std::chrono::milliseconds idle{10'000};
  std::chrono::milliseconds lifetime{300'000};
};

/// The cursors of a broker: which of them are open, which wait for a thread that makes their page, and when each must
/// end. The caller passes the time. Not synchronized.
class cursor_table {
public:
  enum class state : uint8_t {
    /// The client has received the last page that it requested.
    idle,
    /// A page was requested, and waits for a thread.
    waiting,
    /// A thread makes its page.
    running,
  };

  struct cursor {
    open_cursor opening;
    sluice::cursor_table::state state = state::waiting;
    clock::steady opened{};
    clock::steady expires_at{};
    /// The time within which its client must request the next page.
    std::chrono::milliseconds idle{};
    /// The time of the last request for a page; for an idle cursor, of the last answer.
    clock::steady since{};
    /// The deadline of its page.
    clock::steady page_end{};
    /// The page is not made before this time, because the database file was locked.
    clock::steady not_before{};
    /// The number of rows answered so far.
    uint64_t rows = 0;
    uint64_t pages = 0;
  };

  /// A cursor that has ended; with an error unless it ended normally.
  struct ending {
    uint64_t id = 0;
    cursor was;
    std::optional<failure> error{};
  };

  /// A page to make now.
  struct start {
    uint64_t id = 0;
    std::chrono::milliseconds timeout{0};
  };

  /// @param first the first cursor's number; the following ones count up from it
  cursor_table(cursor_limits limits, uint64_t first) : limits_(limits), next_id_(first) {}

  /// The error when no cursor can be opened for this agent, else nothing: `errc::overloaded` naming the bound.
  /// @param connections the number of open connections, including those of cursors that have ended
  std::optional<failure> capacity_error(const std::string& agent, size_t connections) const;

  /// Opens a cursor that waits for its first page.
  uint64_t open(open_cursor message, clock::steady now);

  /// The client requests the next page. Returns nothing when the page will be made; otherwise the error with which the
  /// cursor has ended, or `errc::invalid_request` when there is no such cursor or its last page has not been answered.
  std::optional<failure> ask(uint64_t id, clock::steady now);

  /// The pages to make now: as many as there are free threads. Agents with fewer running pages come first. If there are
  /// several threads, one agent, or one process, leaves one of them to others.
  std::vector<start> take_starts(clock::steady now);

  /// A page was made, or failed: its thread is free. Called for ended cursors, too.
  void freed(uint64_t id) { running_.erase(id); }

  /// The page was answered with this many rows. @pre there is such a cursor
  void answered(uint64_t id, uint64_t rows, clock::steady now);

  /// Schedules another try for its page after a pause, because another program had locked the file. False when there is
  /// no time left for that, or a page was answered before. @pre there is such a cursor
  bool try_later(uint64_t id, clock::steady now);

  /// Ends a cursor; `error` answers its client's next request for a page. Returns nothing when there is no such cursor.
  std::optional<ending> end(uint64_t id, std::optional<failure> error);

  /// Ends the cursors whose time is over, and those that were cancelled.
  std::vector<ending> end_due(clock::steady now);

  /// Ends the cursors of a database; of all databases if `db` is null. With `spares_running`, leaves cursors alone
  /// whose page is being made.
  std::vector<ending> end_all(const std::string* db, const failure& error, bool spares_running);

  /// When to call `end_due` or `take_starts` next; nothing when there is no cursor.
  std::optional<clock::steady> next_deadline() const;

  cursor* find(uint64_t id);
  size_t size() const noexcept { return cursors_.size(); }
  std::vector<running_request> list(clock::steady now) const;

private:
  struct share {
    int64_t of_agent = 0;
    int64_t of_process = 0;
  };

  share running_for(const read_request& request) const;
  bool may_start(const share& share) const;
  std::optional<failure> expiry_error(const cursor& cursor, clock::steady now) const;
  void remember(uint64_t id, failure error);

  const cursor_limits limits_;
  uint64_t next_id_;
  std::map<uint64_t, cursor> cursors_;
  // Cursors with a thread, ended or not.
  std::set<uint64_t> running_;
  // The errors of ended cursors whose clients do not know them yet; the oldest are dropped.
  std::map<uint64_t, failure> ended_;
  std::deque<uint64_t> ended_in_order_;
};

} // namespace sluice
