#pragma once

#include "actors/writer/write_store.hpp"
#include "tests/support/fake_clock.hpp"

#include <caf/deep_to_string.hpp>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace sluice::test {

/// The outcome of a COMMIT in the fake store: its result, its real outcome, and whether that can be read back.
enum class failed_commit : uint8_t {
  works,
  fails,
  unsure_but_done,
  unsure_and_undone,
  unreadable_but_done,
  unreadable_and_undone,
  throws_undone,
  throws_done,
};

inline constexpr uint64_t failed_commits = static_cast<uint64_t>(failed_commit::throws_done) + 1;

struct commit_threw : std::runtime_error {
  commit_threw() : std::runtime_error("commit threw") {}
};

inline bool takes_effect(failed_commit commit) {
  return commit == failed_commit::works || commit == failed_commit::unsure_but_done
         || commit == failed_commit::unreadable_but_done || commit == failed_commit::throws_done;
}

/// The content that a transaction sees and a commit makes durable.
struct fake_content {
  std::map<std::string, std::map<std::string, std::string>> tables;
  /// The agents of the requests applied, in order: shows what was applied twice, out of order or not at all.
  std::vector<std::string> applied;
  std::map<std::string, std::pair<std::string, write_result>> keys;
  /// By number: hash and commit.
  std::map<uint64_t, std::pair<std::string, uint64_t>> migrations;
};

/// The disk under a `fake_write_store`, with its planned faults. Outlives the store.
struct fake_disk {
  fake_content durable;
  uint64_t last_seq = 0;

  struct commit_record {
    uint64_t seq = 0;
    std::vector<std::string> agents;
    fake_content after;
  };
  std::vector<commit_record> commits;

  /// Each call takes the next one; none means that the call works.
  std::deque<failed_commit> commit_fates;
  std::deque<errc> begin_errors;
  std::deque<errc> checkpoint_errors;
  errc commit_error = errc::io_error;
  /// Consulted once `begin_errors` is empty.
  std::function<std::optional<errc>()> on_begin = [] { return std::nullopt; };
  /// Called inside `commit`, before and after it takes effect.
  std::function<void()> before_commit = [] {};
  std::function<void()> after_commit = [] {};
  /// Called for the statement "hook".
  std::function<void()> hook = [] {};
  /// Called when a store is closed.
  std::function<void()> on_close = [] {};
  bool external_commit = false;
  std::vector<file_event> file_events;
  /// The epoch that transactions begin until one is committed.
  std::string new_epoch;
  /// The first number of the epoch; commits before it may be missing.
  uint64_t epoch_first = 1;
  uint64_t next_seq() const { return std::max(last_seq + 1, epoch_first); }
  bool checkpoint_throws = false;

  uint64_t begins = 0;
  std::vector<std::chrono::milliseconds> waits;
  uint64_t recalls = 0;
  uint64_t explained = 0;
  std::map<std::string, uint64_t> executions;
  std::vector<checkpoint_mode> checkpoints;
  /// The numbers of keys that the next calls of `prune_keys` prune; then none.
  std::deque<uint64_t> old_keys;
  uint64_t prunes = 0;
  /// The numbers of commit records that the next calls remove, and the arguments of these calls.
  std::deque<uint64_t> old_commits;
  std::vector<uint64_t> commits_pruned;
  uint64_t wal_bytes = 0;
  /// Those that another program reads, which a checkpoint leaves.
  uint64_t pinned_wal_bytes = 0;
  uint64_t log_bytes = 0;
  /// Whether readers keep the WAL from restarting.
  bool is_read = false;
  uint64_t open_stores = 0;
  uint64_t idle_closings = 0;
  /// Whether a reader keeps the file open.
  bool stays_open = false;
};

/// A model of a database file behind the writer's port. A statement is one of
///   put TABLE KEY VALUE    schema    hook (runs the disk's hook)
///   fail (constraint; undone alone)   lose, full (cost the transaction)   late (takes until the deadline, costs it
///   too) poison (every COMMIT that holds it fails)   forgetful (its key cannot be kept)   throw
class fake_write_store : public write_store {
public:
  fake_write_store(fake_disk& disk, fake_clock& time) : disk_(disk), time_(time) { ++disk_.open_stores; }
  ~fake_write_store() override {
    --disk_.open_stores;
    disk_.on_close();
  }

  bool is_open() const override { return open_; }
  bool in_transaction() const override { return pending_.has_value(); }

  void wait_at_most(std::chrono::milliseconds time) noexcept override { disk_.waits.push_back(time); }

  caf::expected<begun_transaction> begin() override {
    ++disk_.begins;
    must(!pending_, "begin inside a transaction");
    auto error = std::optional<errc>{};
    if (!disk_.begin_errors.empty()) {
      error = disk_.begin_errors.front();
      disk_.begin_errors.pop_front();
    } else {
      error = disk_.on_begin();
    }
    if (error)
      return make_error(*error, "begin refused");
    open_ = true;
    pending_ = disk_.durable;
    poisoned_ = false;
    return begun_transaction{disk_.next_seq(), std::exchange(disk_.external_commit, false), disk_.new_epoch,
                             disk_.last_seq};
  }

  caf::expected<std::optional<write_result>> recall(const write_request& request) override {
    must(pending_.has_value(), "recall outside a transaction");
    ++disk_.recalls;
    auto found = pending_->keys.find(request.idempotency_key);
    if (found == pending_->keys.end())
      return request.migration ? recall_migration(request) : std::optional<write_result>{};
    if (found->second.first != payload(request))
      return make_error(errc::payload_mismatch, "another payload");
    auto first = std::make_optional(found->second.second);
    first->replayed = true;
    return first;
  }

  caf::expected<void> remember(const write_request& request, const write_result& result) override {
    must(pending_.has_value(), "remember outside a transaction");
    if (payload(request).find("forgetful") != std::string::npos)
      return make_error(errc::io_error, "cannot keep the key");
    if (const auto* done = request.migration.get())
      must(pending_->migrations.try_emplace(done->number, done->hash, result.commit_seq).second,
           "a migration is recorded once");
    if (request.migration && request.idempotency_key.empty())
      return caf::unit;
    must(pending_->keys.count(request.idempotency_key) == 0, "a key is kept once");
    pending_->keys[request.idempotency_key] = {payload(request), result};
    return caf::unit;
  }

  caf::expected<executed_write> execute(const write_request& request, clock::steady deadline) override {
    must(pending_.has_value(), "execute outside a transaction");
    ++disk_.executions[request.agent];
    auto before = *pending_;
    auto poisoned_before = poisoned_;
    executed_write done;
    std::set<std::string> touched;
    for (const auto& stmt : request.statements) {
      auto reason = run(stmt.sql.str(), deadline, touched, done.schema_changed);
      if (reason) {
        if (pending_)
          pending_ = std::move(before);
        poisoned_ = poisoned_before;
        return make_error(*reason, "the statement failed");
      }
      done.results.push_back({1, static_cast<int64_t>(pending_->applied.size()), {}});
    }
    pending_->applied.push_back(request.agent);
    if (!touched.empty())
      done.tables = std::make_shared<const std::vector<std::string>>(touched.begin(), touched.end());
    return done;
  }

  caf::expected<void> commit(uint64_t seq, int64_t, std::span<const ledger_entry> entries) override {
    must(pending_.has_value(), "commit outside a transaction");
    must(seq == disk_.next_seq(), "commit numbers have no gaps");
    must(!entries.empty(), "a commit holds something");
    auto fate = failed_commit::works;
    if (poisoned_)
      fate = failed_commit::fails;
    else if (!disk_.commit_fates.empty()) {
      fate = disk_.commit_fates.front();
      disk_.commit_fates.pop_front();
    }
    disk_.before_commit();
    auto content = std::move(*pending_);
    pending_.reset();
    unreadable_ = fate == failed_commit::unreadable_but_done || fate == failed_commit::unreadable_and_undone;
    if (takes_effect(fate)) {
      disk_.last_seq = seq;
      disk_.new_epoch.clear();
      auto& record = disk_.commits.emplace_back();
      record.seq = seq;
      for (const auto& entry : entries) {
        must(entry.result->commit_seq == seq, "a result carries the number of the commit that holds it");
        record.agents.push_back(entry.request->agent);
      }
      record.after = content;
      disk_.durable = std::move(content);
    }
    disk_.after_commit();
    if (fate == failed_commit::throws_done || fate == failed_commit::throws_undone)
      throw commit_threw{};
    if (fate == failed_commit::works)
      return caf::unit;
    return make_error(disk_.commit_error, "commit failed");
  }

  void rollback() noexcept override { pending_.reset(); }

  caf::expected<bool> committed(uint64_t seq) override {
    if (unreadable_)
      return make_error(errc::io_error, "cannot be read back");
    return disk_.last_seq == seq;
  }

  caf::expected<void> checkpoint(checkpoint_mode mode) override {
    must(!pending_, "no checkpoint inside a transaction");
    if (disk_.checkpoint_throws)
      throw std::runtime_error("checkpoint threw");
    if (!disk_.checkpoint_errors.empty()) {
      auto error = disk_.checkpoint_errors.front();
      disk_.checkpoint_errors.pop_front();
      return make_error(error, "checkpoint refused");
    }
    disk_.checkpoints.push_back(mode);
    disk_.wal_bytes = std::min(disk_.wal_bytes, disk_.pinned_wal_bytes);
    if (mode == checkpoint_mode::truncate && !disk_.is_read)
      disk_.log_bytes = 0;
    return caf::unit;
  }

  uint64_t wal_bytes() const override { return disk_.wal_bytes; }
  uint64_t log_bytes() const override { return disk_.log_bytes; }

  bool take_external_commit() override { return std::exchange(disk_.external_commit, false); }

  std::vector<file_event> take_file_events() override { return std::exchange(disk_.file_events, {}); }

  caf::expected<uint64_t> prune_keys() override {
    must(!pending_, "no pruning inside a transaction");
    ++disk_.prunes;
    if (disk_.old_keys.empty())
      return 0;
    auto count = disk_.old_keys.front();
    disk_.old_keys.pop_front();
    return count;
  }

  caf::expected<removed_commits> prune_commits(uint64_t first_kept) override {
    must(!pending_, "no pruning inside a transaction");
    disk_.commits_pruned.push_back(first_kept);
    if (disk_.old_commits.empty())
      return removed_commits{};
    auto count = disk_.old_commits.front();
    disk_.old_commits.pop_front();
    return removed_commits{count, !disk_.old_commits.empty()};
  }

  caf::expected<std::string> explain(std::span<const statement> statements) override {
    must(!pending_, "no plan is asked for inside a transaction");
    ++disk_.explained;
    return "PLAN OF " + statements[0].sql.str();
  }

  bool close_idle() override {
    must(!pending_, "no file is closed inside a transaction");
    ++disk_.idle_closings;
    open_ = open_ && disk_.stays_open;
    return !open_;
  }

private:
  static void must(bool holds, const char* message) {
    if (!holds)
      throw std::logic_error(std::string{"the port was misused: "} + message);
  }

  caf::expected<std::optional<write_result>> recall_migration(const write_request& request) const {
    const auto& rows = pending_->migrations;
    auto found = rows.find(request.migration->number);
    if (found == rows.end() && (rows.empty() || rows.rbegin()->first < request.migration->number))
      return std::optional<write_result>{};
    if (found == rows.end() || found->second.first != request.migration->hash)
      return make_error(errc::conflict, "another migration");
    write_result first;
    first.replayed = true;
    first.commit_seq = found->second.second;
    return std::optional{std::move(first)};
  }

  static std::string payload(const write_request& request) {
    std::string result;
    for (const auto& statement : request.statements)
      result +=
        statement.sql.str() + (statement.params == parameters{} ? ";" : caf::deep_to_string(statement.params) + ";");
    return result;
  }

  std::optional<errc> lose(errc reason) {
    pending_.reset();
    return reason;
  }

  std::optional<errc> run(const std::string& sql, clock::steady deadline, std::set<std::string>& touched,
                          bool& schema_changed) {
    std::istringstream in{sql};
    std::string verb, table, key, content;
    in >> verb >> table >> key >> content;
    if (verb == "put") {
      pending_->tables[table][key] = content;
      touched.insert(table);
    } else if (verb == "schema") {
      schema_changed = true;
    } else if (verb == "poison") {
      poisoned_ = true;
    } else if (verb == "hook") {
      disk_.hook();
    } else if (verb == "fail") {
      return errc::constraint;
    } else if (verb == "lose") {
      return lose(errc::io_error);
    } else if (verb == "full") {
      return lose(errc::disk_full);
    } else if (verb == "late") {
      if (time_.now() < deadline)
        time_.advance(deadline - time_.now());
      return lose(errc::deadline_exceeded);
    } else if (verb == "throw") {
      throw std::runtime_error("execute threw");
    } else if (verb != "forgetful") {
      return errc::sql_error;
    }
    return std::nullopt;
  }

  fake_disk& disk_;
  fake_clock& time_;
  bool open_ = false;
  std::optional<fake_content> pending_;
  bool poisoned_ = false;
  bool unreadable_ = false;
};

} // namespace sluice::test
