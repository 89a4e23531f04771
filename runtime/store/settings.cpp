#include "runtime/store/settings.hpp"

#include "actors/base/case_folding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <limits>
#include <optional>

namespace sluice {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

template <class T> using field = setting::field<T>;

constexpr double bytes_of_kib = 1024;
constexpr double mib = 1024 * bytes_of_kib;
constexpr double gib = 1024 * mib;
constexpr double day_ms = 24.0 * 60 * 60 * 1000;
using config = broker_config;

// clang-format off
constexpr std::array known_settings{
  setting{"write_deadline_ms", &config::write_deadline, 1, day_ms,
          "How long a write may take, queue included, when the request does not say."},
  setting{"lock_wait_ms", &config::lock_wait, 0, day_ms,
          "How long a broker waits for the store lock that another process holds."},
  setting{"queue_max_requests", &config::queue_max_requests, 4, 1e7,
          "Requests that may wait for one database; an agent may have a quarter of that."},
  setting{"queue_max_bytes", &config::queue_max_bytes, 64 * bytes_of_kib, 64 * gib,
          "Bytes of requests that may wait for one database; an agent may have a quarter of that."},
  setting{"group_max_requests", &config::group_max_requests, 1, 1e6,
          "Writes after which a group is committed, though more are waiting."},
  setting{"group_max_time_ms", &config::group_max_time, 1, 10'000,
          "Time in a transaction after which a group is committed, though more writes are waiting."},
  setting{"key_retention_h", &config::key_retention, 1, 24 * 365,
          "How long an idempotency key is remembered, by time that the machine has run."},
  setting{"ledger_retention_h", &config::ledger_retention, 0, 24 * 36500,
          "How long a database keeps its commit records, which the audit has as well; 0 for ever. Those with "
          "keys that a client library has generated stay for key_retention_h. A signed anchor takes the place of those that are removed."},
  setting{"ledger_max_bytes", &config::ledger_max_bytes, 0, 1e15,
          "Bytes of commit records in a database beyond which the oldest are removed, within the same bounds; 0 for "
          "none."},
  setting{"cache", &config::cache, 0, 1,
          "Whether answers to reads are cached."},
  setting{"cache_ttl_ms", &config::cache_ttl, 1, day_ms,
          "How long an answer is cached at most."},
  setting{"cache_max_bytes", &config::cache_max_bytes, 64 * bytes_of_kib, 64 * gib,
          "Bytes of cached answers; the least recently used are evicted first."},
  setting{"readers", &config::readers, 1, 64,
          "Read-only connections per database, made as they are needed; with 1, there is a second one for short reads "
          "while a long one runs."},
  setting{"read_timeout_ms", &config::read_timeout, 1, day_ms,
          "How long a read may take when the request does not say."},
  setting{"read_max_rows", &config::read_max_rows, 1, 1e8,
          "Rows after which an answer is cut, and marked so, when the request does not say."},
  setting{"read_max_bytes", &config::read_max_bytes, bytes_of_kib, 2 * gib,
          "Bytes after which an answer is cut, and marked so, when the request does not say."},
  setting{"max_value_bytes", &config::max_value_bytes, 64 * bytes_of_kib, 1e9,
          "Bytes of one value or row; a statement that makes, writes or reads a larger one fails."},
  setting{"max_answer_bytes", &config::max_answer_bytes, 64 * bytes_of_kib, 2 * gib,
          "Bytes after which an answer is cut, and marked so, though the request allows more."},
  setting{"max_inflight_answer_bytes", &config::max_inflight_answer_bytes, mib, 64 * gib,
          "Bytes of answers under way over all databases; beyond them reads are refused."},
  setting{"max_cursors", &config::max_cursors, 1, 1'000,
          "Cursors that may be open, over all databases; each has a connection of its own."},
  setting{"max_agent_cursors", &config::max_agent_cursors, 1, 1'000,
          "Cursors that one agent may have open."},
  setting{"cursor_idle_ms", &config::cursor_idle, 10, day_ms,
          "Time after which a cursor ends that is not asked for its next page."},
  setting{"cursor_lifetime_ms", &config::cursor_lifetime, 10, day_ms,
          "Age at which a cursor ends; as long as it is open, the write-ahead log of its database can only grow."},
  setting{"synchronous", &config::synchronous, 0, 0,
          "The failure that a commit survives: with full a power cut, with normal the death of the process."},
  setting{"busy_timeout_ms", &config::busy_timeout, 0, 500,
          "How long SQLite itself waits for a lock of an external process."},
  setting{"page_cache_bytes", &config::page_cache_bytes, 64 * bytes_of_kib, 64 * gib,
          "Bytes of database pages that each connection keeps in memory."},
  setting{"page_memory_bytes", &config::page_memory_bytes, mib, 64 * gib,
          "Bytes of memory of SQLite in `sluice serve` above which connections cache no further pages."},
  setting{"max_sqlite_bytes", &config::max_sqlite_bytes, 16 * mib, 1024 * gib,
          "Bytes of memory of SQLite in `sluice serve`; a statement that needs more fails."},
  setting{"checkpoint_wal_bytes", &config::checkpoint_wal_bytes, 64 * bytes_of_kib, 64 * gib,
          "Size of the write-ahead log at which it is moved into the database file."},
  setting{"idle_after_ms", &config::idle_after, 10, day_ms,
          "Time without a write after which the write-ahead log is emptied and old keys are dropped."},
  setting{"close_idle_after_ms", &config::close_idle_after, 0, day_ms,
          "Time without a request after which the files of a database are closed, until the next request; 0 means never."},
  setting{"max_open_files", &config::max_open_files, 0, 1e6,
          "Descriptors that open databases may have together; from three quarters on, those that are not in use are "
          "closed. 0 means half of the limit of the process."},
  setting{"retry_attempts", &config::retry_attempts, 0, 100,
          "Growing pauses of a request that waits for a lock of an external process; later ones stay as long. It waits until its deadline; with 0, not at all."},
  setting{"retry_base_ms", &config::retry_base, 1, 60'000,
          "The pause before the first retry."},
  setting{"retry_factor", &config::retry_factor, 1, 10,
          "How much longer each pause is than the one before."},
  setting{"retry_cap_ms", &config::retry_cap, 1, 600'000,
          "The longest pause."},
  setting{"retry_jitter", &config::retry_jitter, 0, 1,
          "Share by which each pause is made longer or shorter at random."},
  setting{"restart_limit", &config::restart_limit, 1, 1'000,
          "Restarts of one database's actors within the window after which the database is put in quarantine."},
  setting{"restart_window_ms", &config::restart_window, 1, day_ms,
          "The window in which restarts are counted."},
  setting{"linger_ms", &config::linger, 0, day_ms,
          "How long a transient broker stays after its last connection or request."},
  setting{"max_connections", &config::max_connections, 1, 1e6,
          "Connections to the socket, and to the HTTP port, at once."},
  setting{"max_request_bytes", &config::max_request_bytes, bytes_of_kib, gib,
          "Size of one line on a socket or of one HTTP body; a connection that sends more is closed."},
  setting{"max_pipelined", &config::max_pipelined, 1, 1e6,
          "Requests of one connection that may be under way; beyond that the broker stops reading from it."},
  setting{"max_inflight_bytes", &config::max_inflight_bytes, mib, 64 * gib,
          "Bytes of requests under way over all connections; beyond them requests are refused."},
  setting{"connection_idle_ms", &config::connection_idle, 100, day_ms,
          "Time after which a connection that sends nothing, and waits for nothing, is closed."},
  setting{"send_timeout_ms", &config::send_timeout, 100, day_ms,
          "Time after which a connection that does not take its answers is closed."},
  setting{"buffer_interval_ms", &config::buffer_interval, 1, day_ms,
          "How long a row may wait in the write-behind buffer; without a journal, all that a kill can lose."},
  setting{"buffer_batch", &config::buffer_batch, 1, 1'000,
          "Rows that the buffer writes in one request; when as many are pending, it writes at once."},
  setting{"buffer_max_pending", &config::buffer_max_pending, 5, 1e6,
          "Rows that may wait in the buffer; from four fifths of it on, callers wait or are refused."},
  setting{"buffer_journal", &config::buffer_journal, 0, 1,
          "Whether buffered operations are kept on disk as well, so that a kill loses none."},
  setting{"audit_retention_h", &config::audit_retention, 0, 24 * 36500,
          "How long audit records are kept; 0 for ever. A signed anchor takes the place of those that are removed."},
  setting{"audit_max_bytes", &config::audit_max_bytes, 0, 1e15,
          "Size of the audit file beyond which its oldest records are removed; 0 for none."},
  setting{"log_queue", &config::log_queue, 1, 1e7,
          "Log entries that may wait to be written; beyond that the oldest are dropped, and counted."},
  setting{"log_batch", &config::log_batch, 1, 1e5,
          "Number of waiting log entries at which they are written at once."},
  setting{"log_interval_ms", &config::log_interval, 1, day_ms,
          "How long a log entry waits at most before it is written."},
  setting{"log_max_message", &config::log_max_message, 16, 1e6,
          "Characters after which a log message is cut."},
  setting{"log_retention_h", &config::log_retention, 1, 24 * 3650,
          "How long log entries are kept."},
  setting{"slow_queue_ms", &config::slow_queue, 1, day_ms,
          "Time in the queue after which a warning about the request is logged."},
  setting{"slow_execution_ms", &config::slow_execution, 1, day_ms,
          "Execution time after which a warning about the request is logged."},
  setting{"scheduler_threads", &config::scheduler_threads, 0, 256,
          "Scheduler threads of a broker with an actor system of its own; 0 means one per core, at least 2."},
  setting{"blocking_threads", &config::blocking_threads, 0, 1'024,
          "Threads that run the writers and readers of all databases, made on demand; 0 means four per core, at least "
          "16; 1 to 3 count as 4."},
};
// clang-format on

std::string value_text(bool content) { return content ? "true" : "false"; }
std::string value_text(synchronous_mode content) {
  return content == synchronous_mode::full     ? "\"full\""
         : content == synchronous_mode::normal ? "\"normal\""
                                               : fmt::format("{}", static_cast<int>(content));
}
std::string value_text(milliseconds content) { return fmt::format("{}", content.count()); }
std::string value_text(hours content) { return fmt::format("{}", content.count()); }
template <class Number> std::string value_text(Number content) { return fmt::format("{}", content); }

template <class T> std::optional<T> convert(const setting& s, const raw_value& raw) {
  if constexpr (std::is_same_v<T, bool>) {
    if (auto* truth = std::get_if<bool>(&raw))
      return *truth;
  } else if constexpr (std::is_same_v<T, synchronous_mode>) {
    if (auto* text = std::get_if<std::string_view>(&raw); text && (*text == "full" || *text == "normal"))
      return *text == "full" ? synchronous_mode::full : synchronous_mode::normal;
  } else if constexpr (std::is_same_v<T, double>) {
    auto* whole = std::get_if<int64_t>(&raw);
    auto* real = std::get_if<double>(&raw);
    auto number = real ? *real : whole ? static_cast<double>(*whole) : std::numeric_limits<double>::quiet_NaN();
    if (number >= s.min && number <= s.max)
      return number;
  } else if (auto* number = std::get_if<int64_t>(&raw)) {
    if (*number >= static_cast<int64_t>(s.min) && *number <= static_cast<int64_t>(s.max))
      return T(*number);
  }
  return std::nullopt;
}

bool fits(const setting&, bool) { return true; }
bool fits(const setting&, synchronous_mode content) { return content <= synchronous_mode::normal; }
bool fits(const setting& s, double content) { return content >= s.min && content <= s.max; }
bool fits(const setting& s, uint64_t content) {
  return content >= static_cast<uint64_t>(s.min) && content <= static_cast<uint64_t>(s.max);
}
template <class Rep, class Period> bool fits(const setting& s, std::chrono::duration<Rep, Period> content) {
  return content.count() >= static_cast<int64_t>(s.min) && content.count() <= static_cast<int64_t>(s.max);
}

} // namespace

std::span<const setting> all_settings() noexcept { return known_settings; }

const setting* find_setting(std::string_view key) noexcept {
  const auto* found =
    std::find_if(known_settings.begin(), known_settings.end(), [&](const setting& x) { return x.key == key; });
  return found == known_settings.end() ? nullptr : found;
}

std::string environment_name(const setting& s) { return "SLUICE_" + in_capitals(s.key); }

std::string range_of(const setting& s) {
  auto describe = [&]<class T>(field<T>) -> std::string {
    if constexpr (std::is_same_v<T, bool>)
      return "true or false";
    else if constexpr (std::is_same_v<T, synchronous_mode>)
      return "\"full\" or \"normal\"";
    else if constexpr (std::is_same_v<T, double>)
      return fmt::format("a number from {} to {}", s.min, s.max);
    else
      return fmt::format("a whole number from {} to {}", static_cast<int64_t>(s.min), static_cast<int64_t>(s.max));
  };
  return std::visit(describe, s.member);
}

std::string text_of(const setting& s, const broker_config& config) {
  return std::visit([&](auto member) { return value_text(config.*member); }, s.member);
}

bool assign(broker_config& to, const setting& s, const raw_value& raw) {
  auto set = [&]<class T>(field<T> member) {
    auto converted = convert<T>(s, raw);
    if (converted)
      to.*member = *converted;
    return converted.has_value();
  };
  return std::visit(set, s.member);
}

bool is_in_range(const setting& s, const broker_config& config) {
  return std::visit([&](auto member) { return fits(s, config.*member); }, s.member);
}

std::optional<std::string> normalized_database_name(const std::string& db) {
  auto path = std::filesystem::path{db}.lexically_normal();
  if (db.empty() || db.find('\0') != std::string::npos || path.is_absolute() || !path.has_filename() || path == "."
      || *path.begin() == "..")
    return std::nullopt;
  return path.string();
}

void copy_setting(broker_config& to, const setting& s, const broker_config& from) {
  std::visit([&](auto member) { to.*member = from.*member; }, s.member);
}

raw_value read_text(const setting& s, std::string_view text) {
  if (std::holds_alternative<field<synchronous_mode>>(s.member))
    return text;
  if (std::holds_alternative<field<bool>>(s.member)) {
    if (text == "true" || text == "on" || text == "1")
      return true;
    if (text == "false" || text == "off" || text == "0")
      return false;
    return text;
  }
  const auto* end = text.data() + text.size();
  int64_t whole = 0;
  if (auto [at, code] = std::from_chars(text.data(), end, whole); code == std::errc{} && at == end)
    return whole;
  double real = 0;
  if (auto [at, code] = std::from_chars(text.data(), end, real); code == std::errc{} && at == end)
    return real;
  return text;
}

} // namespace sluice
