#pragma once

#include "runtime/sqlite/ledger/ledger.hpp"
#include "runtime/sqlite/writer/request_runner.hpp"
#include "runtime/sqlite/writer/write_store.hpp"

#include <algorithm>
#include <utility>

/// Only for the files of `write_store`: the writer's store. write_store.cpp opens files and executes requests,
/// write_store_commit.cpp commits and checkpoints.
namespace sluice::sqlite {

/// The number of frames in the WAL that no checkpoint has moved yet.
struct wal_state {
  uint64_t frames = 0;
  uint64_t moved = 0;

  void grown_to(uint64_t count) noexcept {
    // Shorter than before: SQLite has restarted the WAL after all frames were moved.
    if (count < frames)
      moved = 0;
    frames = count;
  }
};

/// All objects of one open file; members end in reverse order, the connection last.
struct write_session {
  write_session(connection opened, request_limits limits, std::shared_ptr<answer_budget> answers, const clock& time,
                ledger_settings settings, ledger_standing& known)
    : db(std::move(opened)), runner(db, limits, std::move(answers), time), book(db, time, settings, known) {}

  // Returned when the connection is closed.
  open_files::share descriptors;
  connection db;
  request_runner runner;
  ledger book;
  prepared_statement begin;
  prepared_statement commit;
  prepared_statement rollback;
  prepared_statement page_size;
};

class sqlite_write_store final : public write_store, private file_guard::user {
public:
  sqlite_write_store(std::filesystem::path path, const broker_config& config, const clock& time, ledger_standing known,
                     std::shared_ptr<file_guard> files, std::shared_ptr<answer_budget> answers,
                     std::filesystem::path key_file)
    : path_(std::move(path)), time_(time), busy_timeout_(config.busy_timeout),
      lock_timeout_(config.busy_timeout), limits_{config.read_max_rows,
                                                  std::min(config.read_max_bytes, config.max_answer_bytes),
                                                  config.max_value_bytes},
      files_(std::move(files)),
      answers_(std::move(answers)), ledger_settings_{config.key_retention,
                                                     {config.ledger_retention, config.ledger_max_bytes,
                                                      std::move(key_file)},
                                                     config.synchronous != synchronous_mode::full},
      known_(std::move(known)) {
    files_->join(*this);
    options_.mode = open_mode::read_write_create;
    options_.synchronous = config.synchronous;
    options_.busy_timeout = config.busy_timeout;
    options_.page_cache_bytes = config.page_cache_bytes;
  }

  ~sqlite_write_store() override;

  bool is_open() const override { return files_->is_open(*this); }
  void wait_at_most(std::chrono::milliseconds time) noexcept override { lock_timeout_ = std::min(time, busy_timeout_); }
  caf::expected<begun_transaction> begin() override;
  bool in_transaction() const override { return in_use_ && session_ && session_->db.in_transaction(); }
  caf::expected<std::optional<write_result>> recall(const write_request& request) override;
  caf::expected<void> remember(const write_request& request, const write_result& result) override;
  caf::expected<executed_write> execute(const write_request& request, clock::steady deadline) override;
  caf::expected<void> commit(uint64_t seq, int64_t ts_us, std::span<const ledger_entry> entries) override;
  void rollback() noexcept override;
  caf::expected<bool> committed(uint64_t seq) override;
  caf::expected<void> checkpoint(checkpoint_mode mode) override;
  uint64_t wal_bytes() const override;
  uint64_t log_bytes() const override;
  bool take_overgrown_log(uint64_t bytes) override;
  bool take_external_commit() override;
  std::vector<file_event> take_file_events() override { return files_->take_events(); }
  caf::expected<uint64_t> prune_keys() override;
  caf::expected<removed_commits> prune_commits(uint64_t first_kept) override;
  caf::expected<std::string> explain(std::span<const statement> statements) override;
  bool close_idle() override;

private:
  sqlite3* handle() const noexcept override { return session_ ? session_->db.handle() : nullptr; }
  std::shared_ptr<void> release() noexcept override;
  bool is_writer() const noexcept override { return true; }

  caf::expected<void> open();
  caf::expected<void> connect();
  void close() noexcept;
  caf::expected<void> use();
  void end_use() noexcept;
  caf::expected<begun_transaction> begin_in_use();
  caf::expected<void> take_lock();
  caf::expected<void> enter_ledger(begun_transaction& found);
  caf::expected<void> check_files();
  caf::expected<bool> committed_in_use(uint64_t seq);
  caf::expected<bool> resolve_invisible_commit(uint64_t seq);
  caf::expected<void> sync_log();
  caf::expected<void> checkpoint_in_use(checkpoint_mode mode);
  template <class IsDue, class Remove> caf::expected<uint64_t> prune(IsDue is_due, Remove remove);
  template <class Remove> caf::expected<uint64_t> prune_in_use(Remove remove);
  caf::error failed(int code);
  caf::error failed(caf::error error);
  caf::error no_transaction() const { return make_error(errc::internal, "no transaction is open"); }

  std::filesystem::path path_;
  const clock& time_;
  connection_options options_;
  std::chrono::milliseconds busy_timeout_;
  // The limit on the next `begin`.
  std::chrono::milliseconds lock_timeout_;
  request_limits limits_;
  std::shared_ptr<file_guard> files_;
  std::shared_ptr<answer_budget> answers_;
  ledger_settings ledger_settings_;
  // Outlives sessions, so that a file that replaces another one is compared with it.
  ledger_standing known_;
  std::unique_ptr<write_session> session_;
  // Between `use` and `end_use`; at any other time, other threads may close the session.
  bool in_use_ = false;
  uint64_t page_size_ = 4'096;
  wal_state wal_;
  // The last transaction was rolled back; frames of it may be in the log's file nevertheless.
  bool was_rolled_back_ = false;
  // The last COMMIT went into files that are no longer at the path.
  bool gone_ = false;
  // The first request of the open transaction shows whether it contains more than the ledger's new tables.
  bool ledger_is_new_ = false;
  uint64_t tried_seq_ = 0;
  digest tried_hash_{};
  // The frames of the last COMMIT may be complete in the log, visible or not.
  bool wal_may_hold_commit_ = false;
};

} // namespace sluice::sqlite
