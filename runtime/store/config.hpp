#pragma once

#include "messages/error.hpp"
#include "runtime/policy/access_policy.hpp"

#include <caf/expected.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// The durability that each commit of a database waits for.
enum class synchronous_mode : uint8_t {
  /// A commit survives the loss of power.
  full,
  /// A commit survives the death of the process; the loss of power may undo the last few.
  normal,
};

/// The settings of the write-behind buffer for one table; in `sluice.toml` a `[[buffer_table]]`.
struct buffered_table {
  std::string db;
  std::string table;
  /// Instead of `buffer_interval`.
  std::chrono::milliseconds interval{5'000};
  /// Tables with a higher priority are written first when several are due; 0 by default.
  int64_t priority = 0;
};

/// The settings that each database may override, in `sluice.toml` with a `[[database]]`. Plain data.
struct database_config {
  std::chrono::milliseconds write_deadline{30'000};
  uint64_t queue_max_requests = 10'000;
  uint64_t queue_max_bytes = 64ULL << 20;
  uint64_t group_max_requests = 4'096;
  std::chrono::milliseconds group_max_time{50};
  std::chrono::hours key_retention{24};
  /// 0 means for ever.
  std::chrono::hours ledger_retention{0};
  /// 0 means any number.
  uint64_t ledger_max_bytes = 0;
  uint64_t readers = 4;
  std::chrono::milliseconds read_timeout{5'000};
  uint64_t read_max_rows = 10'000;
  uint64_t read_max_bytes = 8ULL << 20;
  /// The maximum size of one value, and of one row; functions, operators and parameters that would make a larger one
  /// fail.
  uint64_t max_value_bytes = 16ULL << 20;
  /// The maximum of `max_bytes` in a request; larger values are reduced to it.
  uint64_t max_answer_bytes = 64ULL << 20;
  synchronous_mode synchronous = synchronous_mode::full;
  std::chrono::milliseconds busy_timeout{500};
  uint64_t page_cache_bytes = 64ULL << 20;
  uint64_t checkpoint_wal_bytes = 4ULL << 20;
  std::chrono::milliseconds idle_after{1'000};
  /// Time without a request after which the files of a database are closed, until the next one; 0 means never.
  std::chrono::milliseconds close_idle_after{300'000};
};

/// All settings of a broker. Each field but `root` is also a key of `sluice.toml` in the store root (durations with
/// their unit: `write_deadline_ms`, `key_retention_h`) and, in capitals after `SLUICE_`, an environment variable; the
/// environment takes precedence over the file. docs/reference/configuration.md explains each. Plain data.
struct broker_config : database_config {
  std::filesystem::path root = ".";

  /// How long a broker waits for the store lock that another process holds.
  std::chrono::milliseconds lock_wait{5'000};

  bool cache = true;
  std::chrono::milliseconds cache_ttl{5'000};
  uint64_t cache_max_bytes = 64ULL << 20;

  /// The maximum bytes of answers under way over all databases; beyond them reads are refused.
  uint64_t max_inflight_answer_bytes = 256ULL << 20;

  // Cursors; each has a connection of its own.
  uint64_t max_cursors = 64;
  uint64_t max_agent_cursors = 8;
  /// A cursor ends when no page was requested for this time.
  std::chrono::milliseconds cursor_idle{10'000};
  /// A cursor ends at this age; while it is open, the write-ahead log can only grow.
  std::chrono::milliseconds cursor_lifetime{300'000};

  /// The limit for all connections of a process that is only a broker.
  uint64_t page_memory_bytes = 256ULL << 20;
  /// The limit for all memory of SQLite in such a process.
  uint64_t max_sqlite_bytes = 1ULL << 30;

  uint64_t retry_attempts = 3;
  std::chrono::milliseconds retry_base{100};
  double retry_factor = 2.0;
  std::chrono::milliseconds retry_cap{2'000};
  double retry_jitter = 0.25;

  uint64_t restart_limit = 5;
  std::chrono::milliseconds restart_window{10'000};

  // The front door. Sizes and times are per connection unless stated otherwise.
  /// How long a transient broker stays after its last connection or request.
  std::chrono::milliseconds linger{3'000};
  uint64_t max_connections = 4'096;
  uint64_t max_request_bytes = 16ULL << 20;
  /// The maximum number of requests of one connection that may be under way; beyond it, the broker does not read from
  /// the connection.
  uint64_t max_pipelined = 1'024;
  /// The maximum bytes of requests under way over all connections; beyond them requests are refused.
  uint64_t max_inflight_bytes = 256ULL << 20;
  /// A connection that sends nothing for this time, and waits for nothing, is closed.
  std::chrono::milliseconds connection_idle{600'000};
  /// A connection that does not read its answers for this time is closed.
  std::chrono::milliseconds send_timeout{30'000};

  // The write-behind buffer.
  std::chrono::milliseconds buffer_interval{5'000};
  /// Rows in one request to a writer; as soon as this many are pending, they are written.
  uint64_t buffer_batch = 100;
  /// The maximum number of pending rows; callers wait from four fifths of it on.
  uint64_t buffer_max_pending = 1'000;
  /// Whether operations are stored on disk until they are written, so that a kill loses none.
  bool buffer_journal = false;
  /// Overrides for single tables.
  std::vector<buffered_table> buffer_tables;

  // The audit: removes records older than this, and the oldest ones beyond this size; 0 keeps them.
  std::chrono::hours audit_retention{0};
  uint64_t audit_max_bytes = 0;

  // The log database.
  uint64_t log_queue = 10'000;
  uint64_t log_batch = 50;
  std::chrono::milliseconds log_interval{2'000};
  /// The number of characters after which a message is truncated.
  uint64_t log_max_message = 10'000;
  std::chrono::hours log_retention{7 * 24};

  // Requests that exceed these times in the queue or in execution cause a warning.
  std::chrono::milliseconds slow_queue{15'000};
  std::chrono::milliseconds slow_execution{5'000};

  /// Scheduler threads of a broker with an actor system of its own; 0 means one per core, at least 2.
  uint64_t scheduler_threads = 0;
  /// Threads that run the writers and readers of all databases; 0 means four per core, at least 16.
  uint64_t blocking_threads = 0;
  /// The maximum number of descriptors of all open databases, as in `open_files`; 0 means half of the process's limit.
  uint64_t max_open_files = 0;

  /// The complete settings of the databases that override some of them, by name.
  std::map<std::string, database_config, std::less<>> databases;

  /// Who may do what; never null. In `sluice.toml` `[policy]` and `[[agent]]`.
  std::shared_ptr<const access_policy> policy = std::make_shared<const access_policy>();

  /// The settings of the database; valid as long as this is not changed.
  const database_config& of(std::string_view db) const noexcept {
    if (databases.empty())
      return *this;
    auto found = databases.find(db);
    return found == databases.end() ? *this : found->second;
  }

  /// A copy with the database's own settings instead of the general ones.
  broker_config for_database(const std::string& db) const;
};

/// Reads the defaults, then `ROOT/sluice.toml` if it exists, then the environment. `errc::invalid_request` names the
/// key, the value and the range of an invalid setting, or an unknown key.
caf::expected<broker_config> load_config(const std::filesystem::path& root);

/// Reads the policy of `ROOT/sluice.toml`, and checks the whole file as `load_config` does: a misspelled `[policy]`
/// must not be taken for none. Never null; without the file, or a policy in it, one that allows everything.
caf::expected<std::shared_ptr<const access_policy>> load_policy(const std::filesystem::path& root);

/// Checks a configuration that a host has made, as `load_config` does: `errc::invalid_request` names the setting, the
/// value and the range, or another error (an empty root, a database or a table without a name, a duplicate table).
/// Returns no error when a broker can use it.
caf::error check(const broker_config& config);

/// The same without `root` and `lock_wait`, for a store that is locked already.
caf::error check_for_locked(const broker_config& config);

/// An error in the text of a `sluice.toml`, with its position: lines and columns count from 1, and column 0 is the
/// whole line.
struct config_mistake {
  uint32_t line = 0;
  uint32_t column = 0;
  std::string reason;
};

/// The first mistake in the text of a `sluice.toml`; nothing when it is valid.
std::optional<config_mistake> check_config(std::string_view text);

/// One setting as documented: its key, its default as text, and its range for people.
struct setting_info {
  std::string key;
  std::string environment;
  std::string default_value;
  std::string range;
  std::string description;
  /// Whether a `[[database]]` may override it.
  bool per_database = false;
};

/// Every setting, in the order in which they are documented.
std::vector<setting_info> describe_settings();

} // namespace sluice
