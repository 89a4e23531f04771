#include "runtime/sqlite/audit/audit_mending.hpp"

#include "runtime/sqlite/audit/audit_check.hpp"
#include "runtime/sqlite/audit/audit_end.hpp"
#include "runtime/sqlite/files/damaged_files.hpp"
#include "runtime/sqlite/files/file_watch.hpp"

#include <iterator>
#include <set>
#include <utility>

namespace sluice::sqlite {

namespace {

// The maximum number of records that could be removed after a kill of the broker without being noticed.
constexpr uint64_t records_between_notes = 1'000;

class mended_store final : public audit_store {
public:
  mended_store(const store_root& root, const broker_config& config, const clock& time,
               std::shared_ptr<file_registry> registry, mending_report report)
    : root_(root), config_(config), time_(time), registry_(std::move(registry)), report_(std::move(report)),
      path_(root.audit_path()), files_(path_) {}

  ~mended_store() override {
    try {
      if (store_ && store_->sync())
        registry_->keep_audit_end(store_->end());
    } catch (...) {
      // The recorded end is then an earlier one, which is still correct.
    }
  }
  mended_store(const mended_store&) = delete;
  mended_store& operator=(const mended_store&) = delete;

  caf::expected<void> start() {
    if (auto opened = open_any(); !opened)
      return opened;
    auto missing = sqlite::find_missing_records(path_, *registry_, time_.boot_id(), ledgers_of(root_));
    if (missing && !missing->empty())
      return begin_anew(make_error(errc::corrupt, *missing));
    note_end();
    return caf::unit;
  }

  caf::expected<void> append(std::span<audit_record> records) override {
    if (auto there = ensure_file(); !there)
      return there;
    auto done = store_->append(records);
    if (!done && code_of(done.error()) == errc::corrupt) {
      auto mended = begin_anew(done.error());
      done = mended ? store_->append(records) : std::move(mended);
    }
    if (!done)
      return done;
    registry_->expect_audit_end(store_->end());
    if (store_->end().seq >= note_at_)
      note_end();
    return caf::unit;
  }

  caf::expected<ledger_comparison> compare(const std::string& db) override {
    names_.insert(db);
    if (auto there = ensure_file(); !there)
      return std::move(there.error());
    auto found = store_->compare(db);
    if (found || !is_damage(found.error()))
      return found;
    auto mended = begin_anew(found.error());
    return mended ? store_->compare(db) : std::move(mended.error());
  }

  caf::expected<uint64_t> agree(const std::string& db, uint64_t until) override {
    if (auto there = ensure_file(); !there)
      return std::move(there.error());
    return store_->agree(db, until);
  }

  caf::expected<audit_pruned> prune(const prune_bounds& bounds, int64_t now_us) override {
    if (auto there = ensure_file(); !there)
      return std::move(there.error());
    auto done = store_->prune(bounds, now_us);
    // If the record that is noted as the end were removed, the file would look like a different one.
    if (done && done->records > 0)
      note_end();
    return done;
  }

  // `list` and `verify` skip unreadable records.
  caf::expected<audit_page> list(const audit_query& query) override {
    if (auto there = ensure_file(); !there)
      return std::move(there.error());
    return store_->list(query);
  }

  caf::expected<audit_verdict> verify() override {
    if (auto there = ensure_file(); !there)
      return std::move(there.error());
    return store_->verify();
  }

private:
  caf::expected<void> open_any() {
    auto opened = open();
    return opened || code_of(opened.error()) != errc::corrupt ? std::move(opened) : begin_anew(opened.error());
  }

  void note_end() {
    auto end = store_->end();
    registry_->note_audit_end(end, time_.boot_id());
    note_at_ = end.seq == 0 ? 1 : end.seq + records_between_notes;
  }

  caf::expected<void> open() {
    store_.reset();
    auto opened = open_audit_store(root_, config_);
    if (!opened)
      return std::move(opened.error());
    store_ = std::move(*opened);
    files_.note();
    return caf::unit;
  }

  // The error may concern the database whose ledger is compared.
  bool is_damage(const caf::error& error) {
    if (code_of(error) != errc::corrupt)
      return false;
    auto verdict = verify_audit_file(path_);
    return verdict ? verdict->broken > 0 : code_of(verdict.error()) == errc::corrupt;
  }

  caf::expected<void> ensure_file() {
    if (!store_)
      return start();
    auto moved = files_.moved();
    if (!moved && !files_.log_moved()) {
      auto same = store_->check_end();
      return same ? std::move(same) : begin_anew(same.error());
    }
    store_.reset();
    if (moved)
      files_.remove_stale_log();
    // A file that replaces a moved one is always reported, with the records that it lacks.
    auto opened = moved ? open_any() : start();
    if (!opened)
      return opened;
    if (!moved) {
      report_("the write-ahead log of .sluice/audit.db was removed; what was in it has been saved");
      return caf::unit;
    }
    return complete("", ".sluice/audit.db was moved or deleted while the broker had it open; the audit goes on in the "
                        "file that is there now, completed from the ledgers");
  }

  caf::expected<void> begin_anew(const caf::error& error) {
    store_.reset();
    for (auto& name : salvaged_names())
      names_.insert(std::move(name));
    for (auto& name : registered_names())
      names_.insert(std::move(name));
    auto kept = move_damaged_file(path_, wall_us(time_));
    if (!kept)
      return error;
    if (auto opened = open(); !opened)
      return opened;
    return complete(*kept, "the audit file cannot be used (" + describe(error).message + "); it is kept as .sluice/"
                             + *kept + ", and a new one was begun and completed from the ledgers");
  }

  // The readable part of the list of databases.
  std::vector<std::string> salvaged_names() const {
    auto db = connection::open(path_, {});
    auto names = db ? audited_names(*db) : caf::expected<std::vector<std::string>>{std::move(db.error())};
    return names ? std::move(*names) : std::vector<std::string>{};
  }

  // The databases whose files may be opened: those without a log of another file.
  std::vector<std::string> registered_names() const {
    auto names = registry_->names();
    std::erase_if(names, [&](const std::string& name) {
      auto resolved = root_.resolve(name);
      auto record = registry_->find(name);
      return !resolved || *resolved != name || (record && has_log_of_another_file(*record, root_.path_of(name)));
    });
    return names;
  }

  caf::expected<void> complete(const std::string& kept, const std::string& text) {
    report_(text);
    std::vector<audit_record> records(1);
    records[0].ts_us = wall_us(time_);
    records[0].type = request_type::audit_gap;
    records[0].key = kept;
    records[0].status = to_string(errc::corrupt);
    for (const auto& db : names_) {
      // A ledger that cannot be read now is compared when its database is opened.
      auto found = store_->compare(db);
      if (found)
        std::move(found->missing.begin(), found->missing.end(), std::back_inserter(records));
    }
    auto done = store_->append(records);
    // For a file that replaces a deleted one, the earlier end is no longer true.
    registry_->keep_audit_end({});
    note_end();
    return done;
  }

  const store_root root_;
  const broker_config& config_;
  const clock& time_;
  const std::shared_ptr<file_registry> registry_;
  mending_report report_;
  const std::filesystem::path path_;
  std::unique_ptr<audit_file_port> store_;
  // The databases from which a new file is completed.
  std::set<std::string> names_;
  file_watch files_;
  // The record at which the store notes the end next.
  uint64_t note_at_ = 1;
};

} // namespace

caf::expected<std::unique_ptr<audit_store>> open_mended_audit_store(const store_root& root, const broker_config& config,
                                                                    const clock& time,
                                                                    std::shared_ptr<file_registry> registry,
                                                                    mending_report report) {
  auto store = std::make_unique<mended_store>(root, config, time, std::move(registry), std::move(report));
  if (auto started = store->start(); !started)
    return std::move(started.error());
  return std::unique_ptr<audit_store>{std::move(store)};
}

} // namespace sluice::sqlite
