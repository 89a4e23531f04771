#include "runtime/doctor/repair.hpp"

#include "runtime/broker/store_status.hpp"
#include "runtime/os/user_name.hpp"
#include "runtime/sqlite/audit/audit_anchor.hpp"
#include "runtime/sqlite/audit/audit_check.hpp"
#include "runtime/sqlite/audit/audit_end.hpp"
#include "runtime/sqlite/audit/audit_file.hpp"
#include "runtime/sqlite/audit/audit_reconciler.hpp"
#include "runtime/sqlite/core/inspection.hpp"
#include "runtime/sqlite/files/damaged_files.hpp"
#include "runtime/sqlite/files/file_guard.hpp"
#include "runtime/sqlite/files/left_log.hpp"
#include "runtime/sqlite/files/wal_cleanup.hpp"
#include "runtime/sqlite/ledger/ledger_repair.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <unistd.h>

namespace sluice::doctor {

namespace {

namespace fs = std::filesystem;

class repair {
public:
  repair(const store_root& root, const clock& time) : root_(root), time_(time), source_(sqlite::ledgers_of(root)) {}

  repair_actions run() {
    for (const auto& file : find_database_files(root_.path()))
      register_database(file.name);
    for (const auto& name : registry_->names())
      if (is_canonical(name))
        register_database(name);
    read_audit();
    rename_damaged_audit();
    for (const auto& name : names_)
      repair_database(name);
    // The audit records a damaged file before the acknowledgement hides that file from `doctor` and `verify`.
    if (complete_audit()) {
      report_new_audit();
      acknowledge_damaged_files();
    }
    for (const auto& path : {root_.logs_path(), root_.buffer_path()})
      rename_if_damaged(path);
    remove_wal_files();
    for (const auto& files : written_)
      files->note_closed();
    return std::move(out_);
  }

private:
  static bool exists(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path, ignored);
  }

  bool is_canonical(const std::string& name) const {
    auto resolved = root_.resolve(name);
    return resolved && *resolved == name;
  }

  void report_done(const std::string& subject, std::string text) { out_.push_back({subject, std::move(text), false}); }
  void report_failure(const std::string& subject, const std::string& action, const caf::error& error) {
    out_.push_back({subject, action + ": " + describe(error).message, true});
  }

  // Moves the write-ahead log away if it belongs to another file; called before the database is opened for the first
  // time.
  void register_database(const std::string& name) {
    auto record = registry_->find(name);
    if (!names_.insert(name).second || !record || !sqlite::has_log_of_other_file(*record, root_.path_of(name)))
      return;
    auto files = files_of(name);
    if (files->check_place())
      record_file_events(name, *files);
  }

  std::unique_ptr<sqlite::file_guard> files_of(const std::string& name) {
    sqlite::file_guard::settings settings;
    settings.path = root_.path_of(name);
    settings.name = name;
    settings.kept_logs = root_.folder() / "set-aside";
    settings.registry = registry_;
    settings.now_us = [this] { return wall_us(time_); };
    return std::make_unique<sqlite::file_guard>(std::move(settings));
  }

  void record_file_events(const std::string& name, sqlite::file_guard& files) {
    for (const auto& event : files.take_events()) {
      report_done(name, event.text);
      note(request_type::file_event, name, {}).status = event.status;
    }
  }

  // Compares each ledger with the audit, before any repair.
  void read_audit() {
    auto audit = sqlite::connection::open(root_.audit_path(), {});
    auto names = audit ? sqlite::audited_names(*audit) : caf::expected<std::vector<std::string>>{audit.error()};
    auto head = audit ? sqlite::read_head(*audit) : caf::expected<sqlite::audit_head>{audit.error()};
    if (!names)
      return;
    for (const auto& name : *names) {
      // Any program may have changed the audit file.
      if (!is_canonical(name))
        continue;
      register_database(name);
      if (!head)
        continue;
      if (auto found = sqlite::compare_ledger(*audit, name, static_cast<uint64_t>(head->seq), source_, true))
        known_.emplace(name, std::move(*found));
    }
  }

  // The reason why the broker cannot continue the audit file; empty when it can.
  std::string find_audit_damage() const {
    if (exists(root_.audit_path())) {
      auto verdict = sqlite::verify_audit_file(root_.audit_path());
      if (!verdict)
        return code_of(verdict.error()) == errc::corrupt ? describe(verdict.error()).message : std::string{};
      if (verdict->broken > 0)
        return verdict->reason;
    }
    auto missing = sqlite::find_missing_records(root_.audit_path(), *registry_, time_.boot_id(), source_);
    return missing ? *missing : std::string{};
  }

  void rename_damaged_audit() {
    auto reason = find_audit_damage();
    if (reason.empty())
      return;
    if (!exists(root_.audit_path())) {
      audit_damage_ = "it was missing (" + reason + ")";
      note(request_type::audit_gap, {}, {});
      return;
    }
    auto renamed = sqlite::move_damaged_file(root_.audit_path(), wall_us(time_));
    if (!renamed)
      return report_failure(".sluice/audit.db", "it is damaged, and cannot be renamed", renamed.error());
    audit_damage_ = "it was damaged (" + reason + ")";
    damaged_audit_ = *renamed;
    // The acknowledgement at the end of this repair renames the file again; the record has its final name.
    note(request_type::audit_gap, {}, sqlite::acknowledged_name(root_.folder() / *renamed));
  }

  void report_new_audit() {
    if (!audit_damage_.empty())
      report_done(".sluice/audit.db", audit_damage_ + "; a new one was begun");
  }

  void repair_database(const std::string& name) {
    auto path = root_.path_of(name);
    if (!exists(path))
      return;
    auto found = known_.find(name);
    auto is_ours = found != known_.end();
    const auto judged = is_ours ? found->second : sqlite::judged_comparison{};
    // Records the events that other programs caused here, so that the next broker attributes only those to them and not
    // our own writes.
    auto files = files_of(name);
    auto is_noted = registry_->find(name) && files->before_open();
    auto done = sqlite::repair_ledger(path, judged.comparison.standing, judged.judgement.fault, time_,
                                      sqlite::anchor_key_path(root_.audit_path()));
    // The repair skips a database that was never used through sluice.
    if (!done && (is_ours || code_of(done.error()) == errc::ledger_damaged))
      report_failure(name, "its ledger cannot be repaired", done.error());
    if (!done)
      return;
    for (const auto& text : done->actions)
      report_done(name, text);
    std::copy(judged.withheld.begin(), judged.withheld.end(), std::back_inserter(records_));
    if (done->epoch.id.empty())
      return;
    // Records that the audit lacked before the damage; later comparisons begin with the new epoch.
    std::copy(judged.comparison.missing.begin(), judged.comparison.missing.end(), std::back_inserter(records_));
    if (is_noted) {
      record_file_events(name, *files);
      written_.push_back(std::move(files));
    }
    note(request_type::ledger_epoch, name, done->epoch.id).commit_seq = done->epoch.first;
    note(request_type::repair, name, fmt::format("{}", fmt::join(done->actions, "; ")));
    standings_.emplace(name, std::move(done->standing));
  }

  audit_record& note(request_type type, const std::string& db, std::string key) {
    constexpr size_t longest = 4'000;
    auto& record = records_.emplace_back();
    record.ts_us = wall_us(time_);
    record.agent = user_name() + "@" + std::to_string(getpid());
    record.db = db;
    record.type = type;
    key.resize(std::min(key.size(), longest));
    record.key = std::move(key);
    record.status = "ok";
    record.peer = {static_cast<uint32_t>(getuid()), static_cast<uint32_t>(getpid())};
    return record;
  }

  // Appends the repair's records; a new audit file gets the records of all ledgers as well.
  bool complete_audit() {
    if (records_.empty())
      return true;
    auto done = append_records();
    if (!done)
      report_failure(".sluice/audit.db",
                     (audit_damage_.empty() ? "" : audit_damage_ + "; ") + "the repair cannot be recorded in it",
                     done.error());
    return static_cast<bool>(done);
  }

  caf::expected<void> append_records() {
    {
      auto store = sqlite::open_audit_store(root_.audit_path(), root_.path().string(), source_);
      if (!store)
        return std::move(store.error());
      if (auto appended = (*store)->append(records_); !appended)
        return appended;
    }
    if (auto accepted = accept_ledgers(); !accepted)
      return accepted;
    auto store = sqlite::open_audit_store(root_.audit_path(), root_.path().string(), source_);
    if (!store)
      return std::move(store.error());
    for (const auto& name : names_)
      if (auto found = (*store)->compare(name); found && !found->missing.empty())
        if (auto appended = (*store)->append(found->missing); !appended)
          return appended;
    registry_->keep_audit_end((*store)->sync() ? (*store)->end() : audit_end{});
    return caf::unit;
  }

  caf::expected<void> accept_ledgers() {
    auto audit = sqlite::open_audit_file(root_.audit_path(), root_.path().string(), 1U << 20);
    if (!audit)
      return std::move(audit.error());
    for (const auto& [name, standing] : standings_)
      if (auto accepted = sqlite::accept_ledger(audit->db, name, standing); !accepted)
        return accepted;
    return caf::unit;
  }

  void acknowledge_damaged_files() {
    auto names = sqlite::find_damaged_files(root_.audit_path());
    // The audit already names the file of this repair; an older file must not take that name.
    std::stable_partition(names.begin(), names.end(),
                          [this](const std::string& name) { return name == damaged_audit_; });
    for (const auto& name : names) {
      auto kept = sqlite::acknowledge_damaged_file(root_.folder() / name);
      if (kept)
        report_done(".sluice/" + name, "acknowledged; it is now .sluice/" + *kept);
      else
        report_failure(".sluice/" + name, "it cannot be acknowledged", kept.error());
    }
  }

  void rename_if_damaged(const fs::path& path) {
    if (!exists(path))
      return;
    auto subject = ".sluice/" + path.filename().string();
    auto found = sqlite::inspect(path, {});
    if (found ? found->damage.empty() : code_of(found.error()) != errc::corrupt)
      return;
    auto kept = sqlite::move_damaged_file(path, wall_us(time_));
    if (kept)
      report_done(subject, "it was damaged; it is kept as .sluice/" + *kept + ", and the broker begins a new one");
    else
      report_failure(subject, "it is damaged, and cannot be renamed", kept.error());
  }

  // Read-only connections leave `-wal` and `-shm` files.
  void remove_wal_files() const {
    for (const auto& [name, known] : known_)
      sqlite::remove_wal_files(root_.path_of(name));
    sqlite::remove_wal_files(root_.audit_path());
  }

  const store_root& root_;
  const clock& time_;
  const sqlite::ledger_source source_;
  const std::shared_ptr<file_registry> registry_ = std::make_shared<file_registry>(root_.folder() / "files.json");
  std::set<std::string> names_;
  std::map<std::string, sqlite::judged_comparison> known_;
  std::map<std::string, ledger_standing> standings_;
  std::vector<audit_record> records_;
  // The damage of the audit file, and the file's name until the damage is acknowledged.
  std::string audit_damage_;
  std::string damaged_audit_;
  // The guards of the databases that the repair has written to.
  std::vector<std::unique_ptr<sqlite::file_guard>> written_;
  repair_actions out_;
};

} // namespace

repair_actions repair_store(const store_root& root, const clock& time) { return repair{root, time}.run(); }

nlohmann::json as_json(const repair_actions& actions) {
  auto list = nlohmann::json::array();
  for (const auto& action : actions)
    list.push_back({{"subject", action.subject}, {"text", action.text}, {"failed", action.failed}});
  return list;
}

} // namespace sluice::doctor
