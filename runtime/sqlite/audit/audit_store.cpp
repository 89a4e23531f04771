#include "runtime/sqlite/audit/audit_store.hpp"

#include "runtime/sqlite/audit/audit_anchor.hpp"
#include "runtime/sqlite/audit/audit_check.hpp"
#include "runtime/sqlite/audit/audit_file.hpp"
#include "runtime/sqlite/audit/audit_pruning.hpp"
#include "runtime/sqlite/audit/audit_reader.hpp"
#include "runtime/sqlite/audit/audit_reconciler.hpp"
#include "runtime/sqlite/audit/audit_row.hpp"
#include "runtime/sqlite/audit/audit_segment.hpp"
#include "runtime/sqlite/core/result_code.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/files/damaged_files.hpp"
#include "runtime/sqlite/ledger/ledger_meta.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <limits>
#include <unordered_map>

namespace sluice::sqlite {

namespace {

// Identifies a committed request.
std::string identity(const audit_record& record) {
  return record.db + '\0' + std::to_string(record.commit_seq) + '\0' + record.request_id;
}

// Table names as text; consecutive records mostly touch the same tables.
class tables_cache {
public:
  std::string_view text(const table_set& tables) {
    if (!tables)
      return {};
    if (tables != last_ && !(last_ && *tables == *last_)) {
      text_ = tables_text(tables);
      last_ = tables;
    }
    return text_;
  }

private:
  table_set last_;
  std::string text_;
};

class audit_file_store final : public audit_file_port {
public:
  audit_file_store(audit_file file, std::string root_text, ledger_source source)
    : file_(std::move(file)), root_text_(std::move(root_text)), source_(std::move(source)) {}

  caf::expected<void> prepare();

  caf::expected<void> append(std::span<audit_record> records) override;
  caf::expected<audit_page> list(const audit_query& query) override;
  caf::expected<audit_verdict> verify() override;
  caf::expected<ledger_comparison> compare(const std::string& db) override {
    auto found = compare_ledger(file_.db, db, static_cast<uint64_t>(head_.seq), source_);
    if (!found)
      return std::move(found.error());
    return std::move(found->comparison);
  }
  caf::expected<audit_pruned> prune(const prune_bounds& bounds, int64_t now_us) override;
  caf::expected<uint64_t> agree(const std::string& db, uint64_t until) override;
  audit_end end() const override { return {static_cast<uint64_t>(head_.seq), to_hex(head_.hash)}; }
  caf::expected<void> check_end() override;
  bool sync() override;

private:
  caf::expected<void> insert(std::span<audit_record> records, audit_head& head);
  caf::expected<void> insert_segment(audit_head& head);
  caf::expected<int64_t> compare_until(int64_t seq);
  caf::expected<void> commit(const audit_head& head);
  bool is_known(audit_record& record) const;
  caf::expected<audit_page> select(const audit_query& query);
  audit_page select_readable(const audit_query& query);

  audit_file file_;
  std::string root_text_;
  ledger_source source_;
  audit_head head_;
  chain_hash hash_;
  tables_cache tables_;
  segment_encoder encoder_;
  audit_reader reader_;
  // Commits that were found in the ledger before their writer sent them; they must not be stored twice.
  std::unordered_map<std::string, uint64_t> recovered_;
  prepared_statement last_;
  prepared_statement begin_;
  prepared_statement insert_;
  prepared_statement commit_;
};

caf::expected<void> audit_file_store::prepare() {
  auto head = read_head(file_.db);
  if (!head)
    return std::move(head.error());
  head_ = std::move(*head);
  auto last = last_record_sql(file_.db);
  if (!last)
    return std::move(last.error());
  auto reader = audit_reader::on(file_.db);
  if (!reader)
    return std::move(reader.error());
  reader_ = std::move(*reader);
  return prepare_all(
    file_.db, {{&last_, *last},
               {&begin_, "BEGIN IMMEDIATE"},
               {&insert_, "INSERT INTO segments(" + std::string{segment_columns} + ") VALUES (?, ?, ?, ?, ?, ?, ?)"},
               {&commit_, "COMMIT"}});
}

caf::expected<void> audit_file_store::check_end() {
  auto row = last_.step();
  auto seq = row && *row ? last_.integer(0) : 0;
  auto is_same = row && seq == head_.seq && (!*row || last_.blob(1) == head_.hash);
  last_.reset();
  if (!row && code_of(row.error()) == errc::sql_error)
    return make_error(errc::corrupt, "its tables were dropped by another program");
  if (!row || is_same)
    return caf::unit;
  return make_error(errc::corrupt, "it ends with another record " + std::to_string(seq)
                                     + " than the broker wrote, whose last one was " + std::to_string(head_.seq)
                                     + ": another program changed it");
}

bool audit_file_store::sync() {
  int frames = -1;
  int moved = -1;
  auto code = sqlite3_wal_checkpoint_v2(file_.db.handle(), "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
  return code == SQLITE_OK && frames == moved;
}

caf::expected<void> audit_file_store::append(std::span<audit_record> records) {
  if (records.empty())
    return caf::unit;
  if (auto begun = begin_.run(); !begun)
    return begun;
  auto head = head_;
  auto done = insert(records, head);
  if (done)
    done = commit(head);
  if (!done) {
    for (auto& record : records)
      record.seq = 0;
    return done;
  }
  head_ = std::move(head);
  for (const auto& record : records)
    if (record.recovered)
      recovered_.emplace(identity(record), record.seq);
  return caf::unit;
}

bool audit_file_store::is_known(audit_record& record) const {
  if (recovered_.empty() || record.recovered || record.commit_seq == 0 || record.status != "committed")
    return false;
  auto known = recovered_.find(identity(record));
  if (known == recovered_.end())
    return false;
  record.seq = known->second;
  return true;
}

caf::expected<void> audit_file_store::insert(std::span<audit_record> records, audit_head& head) {
  encoder_.clear();
  for (auto& record : records) {
    if (is_known(record))
      continue;
    record.seq = static_cast<uint64_t>(head.seq) + encoder_.size() + 1;
    encoder_.add(to_row(record, file_.store, tables_.text(record.tables)));
    if (encoder_.is_full())
      if (auto done = insert_segment(head); !done)
        return done;
  }
  return encoder_.size() == 0 ? caf::expected<void>{caf::unit} : insert_segment(head);
}

caf::expected<void> audit_file_store::insert_segment(audit_head& head) {
  audit_segment segment;
  segment.first_seq = head.seq + 1;
  segment.last_seq = head.seq + static_cast<int64_t>(encoder_.size());
  segment.store = file_.store;
  segment.newest_us = encoder_.newest_us();
  segment.prev_hash = head.hash;
  segment.records = encoder_.encoded();
  auto hash = segment_hash(hash_, segment, root_text_);
  segment.hash = bytes_of(hash);
  bind_segment(insert_, segment);
  if (auto done = insert_.run(); !done) {
    static_cast<void>(file_.db.exec("ROLLBACK"));
    return done;
  }
  encoder_.clear();
  head = {segment.last_seq, std::string{bytes_of(hash)}};
  return caf::unit;
}

caf::expected<void> audit_file_store::commit(const audit_head& head) {
  auto done = commit_.run();
  if (done)
    return done;
  if (file_.db.in_transaction())
    static_cast<void>(file_.db.exec("ROLLBACK"));
  // An error does not show whether the commit took effect; the file does.
  auto found = read_head(file_.db);
  if (found && found->seq == head.seq && found->hash == head.hash)
    return caf::unit;
  return done;
}

caf::expected<audit_verdict> audit_file_store::verify() {
  auto verdict = verify_audit_file(file_.path);
  if (!verdict)
    return verdict;
  auto ledgers = check_ledgers(file_.db, source_, true);
  if (!ledgers)
    return std::move(ledgers.error());
  for (const auto& ledger : *ledgers)
    verdict->problems.push_back("the ledger of " + ledger.db + ": " + ledger.reason);
  for (const auto& name : find_damaged_files(file_.path))
    verdict->problems.push_back(name
                                + " was kept because it was damaged, emptied or exchanged; its records are "
                                  "missing in this audit, and `sluice doctor ROOT --repair` acknowledges it");
  return verdict;
}

caf::expected<audit_pruned> audit_file_store::prune(const prune_bounds& bounds, int64_t now_us) {
  auto found = find_prunable(file_.db, bounds, head_.seq);
  if (!found)
    return std::move(found.error());
  auto last = found->ends.empty() ? 0 : found->ends.back().seq;
  auto compared = last > 0 ? compare_until(last) : caf::expected<int64_t>{0};
  if (!compared)
    return std::move(compared.error());
  auto has_more = found->has_more;
  while (!found->ends.empty() && found->ends.back().seq > *compared) {
    found->ends.pop_back();
    // If a ledger prevents a removal now, it would also prevent it in the next call.
    has_more = false;
  }
  auto removed =
    found->ends.empty() ? caf::expected<uint64_t>{0} : remove_records(file_.db, file_.path, found->ends.back(), now_us);
  if (!removed)
    return std::move(removed.error());
  auto first = first_record(file_.db);
  if (!first)
    return std::move(first.error());
  return audit_pruned{*removed, static_cast<uint64_t>(*first), has_more};
}

caf::expected<uint64_t> audit_file_store::agree(const std::string& db, uint64_t until) {
  auto reached = agree_on_commits(file_.db, db, static_cast<uint64_t>(head_.seq), source_, until);
  // A power cut loses records that are not synced yet; the ledger restores them.
  if (reached && !sync())
    return uint64_t{0};
  return reached;
}

// Has the ledgers compared with the records up to `seq`, so that no record is recovered that was removed on purpose.
// Returns the last record up to which this succeeded.
caf::expected<int64_t> audit_file_store::compare_until(int64_t seq) {
  auto names = audited_names(file_.db);
  if (!names)
    return std::move(names.error());
  for (const auto& db : *names) {
    for (auto tries = 0; tries < 2; ++tries) {
      auto reached = compared_until(file_.db, db);
      if (!reached)
        return std::move(reached.error());
      if (*reached >= seq)
        break;
      auto compared = compare(db);
      if (!compared)
        return std::move(compared.error());
      if (auto added = append(compared->missing); !added)
        return std::move(added.error());
    }
    auto reached = compared_until(file_.db, db);
    if (!reached)
      return std::move(reached.error());
    // A deleted database cannot restore records.
    if (*reached < seq)
      if (auto page = source_(db, 0); page || code_of(page.error()) != errc::unknown_database)
        seq = *reached;
  }
  return seq;
}

caf::expected<audit_page> audit_file_store::list(const audit_query& query) {
  auto page = select(query);
  return page || code_of(page.error()) != errc::corrupt ? std::move(page) : select_readable(query);
}

bool selects(const audit_query& query, const audit_row& record) {
  return (query.agent.empty() || query.agent == record.agent) && (query.db.empty() || query.db == record.db)
         && (query.status.empty() || query.status == record.status);
}

audit_range range_for(const audit_query& query) {
  audit_range result;
  result.after_seq = static_cast<int64_t>(std::min<uint64_t>(query.after_seq, std::numeric_limits<int64_t>::max() - 1));
  if (query.since_us != 0)
    result.since_us = query.since_us;
  return result;
}

// Skips unreadable pages, and therefore reads in the order of the numbers.
audit_page audit_file_store::select_readable(const audit_query& query) {
  std::deque<audit_record> found;
  reader_.forward_around_damage(range_for(query), [&](const audit_row& record) {
    if (!selects(query, record))
      return true;
    found.push_back(to_record(record));
    if (found.size() > query.limit)
      found.pop_front();
    return query.newest || found.size() < query.limit;
  });
  return {root_text_, {std::move_iterator{found.begin()}, std::move_iterator{found.end()}}};
}

caf::expected<audit_page> audit_file_store::select(const audit_query& query) {
  audit_page result{root_text_, {}};
  if (query.limit == 0)
    return result;
  auto take = [&](const audit_row& record) {
    if (selects(query, record))
      result.records.push_back(to_record(record));
    return result.records.size() < query.limit;
  };
  auto done = query.newest ? reader_.backward(range_for(query), take) : reader_.forward(range_for(query), take);
  if (!done)
    return std::move(done.error());
  if (query.newest)
    std::reverse(result.records.begin(), result.records.end());
  return result;
}

caf::expected<ledger_page> read_page(caf::expected<ledger_reader> reader, uint64_t seq,
                                     const std::filesystem::path& key_file) {
  constexpr uint64_t at_a_time = 10'000;
  if (!reader)
    return std::move(reader.error());
  if (auto sound = reader->check(); !sound)
    return std::move(sound.error());
  auto commits = reader->after(seq, at_a_time);
  if (!commits)
    return std::move(commits.error());
  if (auto looked = reader->find_missing_keys(*commits); !looked)
    return std::move(looked.error());
  const auto& anchor = reader->anchor();
  return ledger_page{std::move(*commits), reader->epoch(), anchor,
                     anchor ? doubt_about_ledger(*anchor, key_file) : std::string{}};
}

} // namespace

caf::expected<ledger_page> read_ledger_page(const std::filesystem::path& path, uint64_t seq, bool immutable) {
  return read_page(ledger_reader::open(path, immutable), seq, {});
}

ledger_source ledgers_of(const store_root& root) {
  return [root](const std::string& db, uint64_t seq) -> caf::expected<ledger_page> {
    // The first requests to the database wait for it, and their deadlines are not known here.
    connection_options options;
    options.busy_timeout = std::chrono::milliseconds{50};
    options.page_cache_bytes = 1U << 20;
    auto file = connection::open(root.path_of(db), options);
    if (!file)
      return std::move(file.error());
    return read_page(ledger_reader::on(std::move(*file)), seq, anchor_key_path(root.audit_path()));
  };
}

caf::expected<std::unique_ptr<audit_file_port>> open_audit_store(const std::filesystem::path& path,
                                                                 std::string root_text, ledger_source source,
                                                                 uint64_t page_cache_bytes) {
  auto file = open_audit_file(path, root_text, page_cache_bytes);
  if (!file)
    return std::move(file.error());
  auto result = std::make_unique<audit_file_store>(std::move(*file), std::move(root_text), std::move(source));
  if (auto ready = result->prepare(); !ready)
    return std::move(ready.error());
  return std::unique_ptr<audit_file_port>{std::move(result)};
}

caf::expected<std::unique_ptr<audit_file_port>> open_audit_store(const store_root& root, const broker_config& config) {
  return open_audit_store(root.audit_path(), root.path().string(), ledgers_of(root), config.page_cache_bytes);
}

} // namespace sluice::sqlite
