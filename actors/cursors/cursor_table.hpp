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
  /// For one agent.
  uint64_t max_per_agent = 8;
  /// Pages that are made at the same time, each on a thread.
  size_t max_pages_at_once = 4;
  /// When the client asks for no other.
  std::chrono::milliseconds idle{10'000};
  std::chrono::milliseconds lifetime{300'000};
};

/// The cursors of a broker: which are open, which of them wait for a thread to make their page, and when each has to
/// end. Times are given by its user. Not synchronized.
class cursor_table {
public:
  enum class state : uint8_t {
    /// Its client has the last page.
    idle,
    /// A page was asked for, and waits for a thread.
    waiting,
    /// Its page is being made.
    running,
  };

  struct cursor {
    open_cursor opening;
    sluice::cursor_table::state state = state::waiting;
    clock::steady opened{};
    clock::steady expires_at{};
    /// How long its client may take to ask for the next page.
    std::chrono::milliseconds idle{};
    /// When its page was asked for; of an idle one, when that was answered.
    clock::steady since{};
    /// When its page has to be there.
    clock::steady page_end{};
    /// It is not run before, because its file was locked.
    clock::steady not_before{};
    /// The rows answered so far.
    uint64_t rows = 0;
    uint64_t pages = 0;
  };

  /// A cursor that has ended, and why; nothing is wrong with it if there is no reason.
  struct ending {
    uint64_t id = 0;
    cursor was;
    std::optional<failure> error{};
  };

  /// A page that is to be made now.
  struct start {
    uint64_t id = 0;
    std::chrono::milliseconds timeout{0};
  };

  /// @param first the first cursor's number; the following count up from it
  cursor_table(cursor_limits limits, uint64_t first) : limits_(limits), next_id_(first) {}

  /// Why no cursor can be opened for this agent, else nothing: `errc::overloaded` naming the bound. @param connections
  /// those that are still open, of cursors that have ended as well
  std::optional<failure> why_full(const std::string& agent, size_t connections) const;

  /// Opens a cursor that waits for its first page.
  uint64_t open(open_cursor message, clock::steady now);

  /// The client asks for the next page. Nothing when it waits for it now; else why not: why the cursor has ended, or
  /// `errc::invalid_request` when there is no such cursor, or its last page has not been answered.
  std::optional<failure> ask(uint64_t id, clock::steady now);

  /// The pages that are to be made now: as many as there are threads for. Agents that have fewer under way come first,
  /// and if there are several threads, one agent, or one process, leaves one of them to others.
  std::vector<start> take_starts(clock::steady now);

  /// A page was made, or could not be: its thread is free. Of a cursor that has ended meanwhile, too.
  void freed(uint64_t id) { running_.erase(id); }

  /// The page was answered, with so many rows. @pre there is such a cursor
  void answered(uint64_t id, uint64_t rows, clock::steady now);

  /// Its page is tried again after a pause, because another program had locked the file. False when there is no time
  /// left for that, or a page was answered before. @pre there is such a cursor
  bool try_later(uint64_t id, clock::steady now);

  /// Ends a cursor; `error` answers its client's next request for a page. Returns nothing when there is no such cursor.
  std::optional<ending> end(uint64_t id, std::optional<failure> error);

  /// Ends the cursors whose time is over, and those that were cancelled.
  std::vector<ending> end_due(clock::steady now);

  /// Ends the cursors of a database; all of them if `db` is null. Those whose page is being made are left alone if
  /// `spares_running`.
  std::vector<ending> end_all(const std::string* db, const failure& error, bool spares_running);

  /// When `end_due` or `take_starts` should be called next; nothing when there is no cursor.
  std::optional<clock::steady> next_look() const;

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
  std::optional<failure> why_due(const cursor& cursor, clock::steady now) const;
  void remember(uint64_t id, failure error);

  const cursor_limits limits_;
  uint64_t next_id_;
  std::map<uint64_t, cursor> cursors_;
  // Those that have a thread, ended or not.
  std::set<uint64_t> running_;
  // The reasons of ended cursors whose clients do not know it yet; the oldest are forgotten.
  std::map<uint64_t, failure> ended_;
  std::deque<uint64_t> ended_in_order_;
};

} // namespace sluice
