#include "runtime/doctor/examination.hpp"

#include "actors/base/counted.hpp"
#include "runtime/broker/store_status.hpp"
#include "runtime/doctor/databases.hpp"
#include "runtime/doctor/disk.hpp"
#include "runtime/doctor/files.hpp"
#include "runtime/doctor/leadership.hpp"
#include "runtime/doctor/live_broker.hpp"
#include "runtime/doctor/nesting.hpp"
#include "runtime/doctor/permissions.hpp"
#include "runtime/doctor/processes.hpp"
#include "runtime/doctor/wal_view.hpp"
#include "runtime/sqlite/audit/audit_anchor.hpp"
#include "runtime/sqlite/audit/audit_store.hpp"
#include "runtime/sqlite/files/journal_recovery.hpp"
#include "runtime/sqlite/files/left_log.hpp"
#include "runtime/store/config.hpp"
#include "runtime/store/file_registry.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <iterator>
#include <optional>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::doctor {

namespace {

namespace fs = std::filesystem;

// The user whose rights the checks use: when root runs them, the store's owner.
uid_t user_of(const fs::path& root) {
  struct stat status {};
  if (geteuid() == 0 && (lstat((root / ".sluice").c_str(), &status) == 0 || stat(root.c_str(), &status) == 0))
    return status.st_uid;
  return geteuid();
}

class examination {
public:
  examination(fs::path root, const examination_options& options) : root_(std::move(root)), options_(options) {}

  findings run() {
    // The list is made before any database is opened, so that opening one cannot change it.
    databases_ = known_databases(root_);
    add(check_settings());
    auto modes = check_permissions(root_, databases_, user_of(root_));
    auto modes_are_good = is_healthy(modes);
    add(std::move(modes));
    auto leaders = look_at_leadership(root_);
    add(judge_leadership(leaders));
    add(check_nesting(root_, databases_));
    add(judge_sqlite());
    // A request would make the folder private, as every client does; the doctor only reports its mode.
    if (leaders.answers && modes_are_good && options_.ask_leader)
      ask_leader();
    leader_ = leaders.leader() > 0 ? leaders.leader() : leaders.answers ? leaders.named : 0;
    add(check_disk(root_, largest_log()));
    auto files = check_files(root_, databases_, leader_);
    for (const auto& file : files)
      if (file.severity == severity::problem)
        exchanged_.insert(file.subject);
    add(std::move(files));
    examine_databases();
    examine_own_files();
    return std::move(out_);
  }

private:
  void add(finding found) { out_.push_back(std::move(found)); }
  void add(findings found) { std::move(found.begin(), found.end(), std::back_inserter(out_)); }

  findings check_settings() const {
    auto config = load_config(root_);
    if (!config) {
      constexpr std::string_view file = "sluice.toml, ";
      auto error = describe(config.error()).message + "; no broker starts with that";
      auto in_file = error.starts_with(file);
      return {{severity::problem, "settings", in_file ? "sluice.toml" : "environment",
               in_file ? error.substr(file.size()) : error,
               "correct it; docs/reference/configuration.md has every key with its range"}};
    }
    return {{severity::ok, "settings", "sluice.toml", "the settings are valid"},
            {severity::ok, "policy", "sluice.toml", policy_text(policy_status_of(*config->policy))}};
  }

  void ask_leader() {
    auto status = options_.ask_leader();
    if (!status)
      return add(finding{severity::warning, "broker", "store",
                         "the broker does not say how it stands: " + describe(status.error()).message,
                         "sluice stop, if it stays so"});
    add(judge_status(*status));
    for (const auto& database : status->value("databases", nlohmann::json::array()))
      add_database(databases_, database.value("name", std::string{}));
  }

  uint64_t largest_log() const {
    uint64_t result = 0;
    for (const auto& name : databases_)
      result = std::max(result, measure_database_file(root_, name).wal_bytes);
    return result;
  }

  void examine_databases() {
    // The doctor of an inner store examines its databases.
    std::erase_if(databases_, [&](const std::string& name) { return inner_store_of(root_, name).has_value(); });
    file_registry registry{root_ / ".sluice/files.json"};
    auto open = find_openers(root_, databases_);
    add(judge_openers(open, leader_, sqlite::has_wal_reset_bug()));
    // Reads all WAL indexes before any database is opened: closing an index afterwards would drop the locks of our own
    // connections.
    for (const auto& name : databases_)
      if (auto log = look_at_wal(root_ / name))
        add(judge_wal(name, *log, leader_));
    for (const auto& name : databases_) {
      auto others = std::any_of(open.openers.begin(), open.openers.end(),
                                [&](const opener& x) { return x.db == name && x.pid != leader_; });
      if (std::error_code ignored; !fs::exists(root_ / name, ignored)) {
        add(finding{severity::note, "journal_mode", name,
                    "it is not there: it was moved or deleted, or nothing was written to it yet; what the audit has of "
                    "it stays",
                    ""});
        continue;
      }
      // With another WAL, or without its own, its content would be different.
      auto record = registry.find(name);
      if (exchanged_.contains(name) || (record && sqlite::has_log_of_other_file(*record, root_ / name)))
        continue;
      auto journal = sqlite::journal_of(root_ / name);
      add(judge_journal(name, journal, others));
      add(judge_inspection(name, sqlite::inspect(root_ / name, how_), sqlite::has_rollback_journal(root_ / name)));
    }
  }

  void examine_own_files() {
    auto folder = root_ / ".sluice";
    add(check_audit(root_));
    add(judge_damaged_files(folder / "audit.db"));
    add(judge_ledgers(root_, exchanged_));
    for (const auto* name : {"logs.db", "buffer.db", "capsules.db"}) {
      std::error_code ignored;
      if (!fs::exists(folder / name, ignored))
        continue;
      for (auto& found : judge_inspection(std::string{".sluice/"} + name, sqlite::inspect(folder / name, how_)))
        if (found.check == "integrity") {
          found.advice = found.advice.empty() ? "" : "move it away; the broker begins a new one";
          add(std::move(found));
        }
    }
    auto rejected = sqlite::count_rejected_rows(folder / "buffer.db");
    if (rejected && *rejected > 0)
      add(finding{severity::warning, "buffer", ".sluice/buffer.db",
                  "the databases refused " + counted(*rejected, "buffered row") + "; a person must decide about them",
                  "sluice buffer list shows them; requeue or discard them"});
  }

  fs::path root_;
  const examination_options& options_;
  sqlite::inspection_options how_{options_.deep,
                                  options_.deep ? std::chrono::milliseconds{0} : sqlite::inspection_options{}.budget,
                                  sqlite::anchor_key_path(root_ / ".sluice" / "audit.db")};
  std::vector<std::string> databases_;
  // Databases whose paths lead to other files than those that the broker uses.
  std::set<std::string> exchanged_;
  pid_t leader_ = 0;
  findings out_;
};

// Removes the result that a subject is in order if another check found a defect in it.
void remove_contradicted(findings& xs) {
  auto is_contradicted = [&](const finding& passed) {
    return passed.severity == severity::ok && std::any_of(xs.begin(), xs.end(), [&](const finding& other) {
             return other.severity != severity::ok && other.check == passed.check && other.subject == passed.subject;
           });
  };
  findings kept;
  std::copy_if(xs.begin(), xs.end(), std::back_inserter(kept), std::not_fn(is_contradicted));
  xs = std::move(kept);
}

} // namespace

caf::expected<findings> examine(const fs::path& root, const examination_options& options) {
  std::error_code failed;
  auto path = fs::canonical(root.empty() ? fs::path{"."} : root, failed);
  if (failed == std::errc::permission_denied)
    return make_error(errc::not_authorized, "the folder may not be entered");
  if (failed || !fs::is_directory(path, failed))
    return make_error(errc::unknown_database, "the folder of the store does not exist");
  if (!fs::exists(fs::symlink_status(path / ".sluice", failed)))
    return make_error(errc::unknown_database, "this folder holds no store: no database in it was used through sluice");
  auto result = examination{std::move(path), options}.run();
  remove_contradicted(result);
  std::stable_sort(result.begin(), result.end(),
                   [](const finding& a, const finding& b) { return a.severity > b.severity; });
  return result;
}

bool is_healthy(const findings& found) noexcept {
  return std::none_of(found.begin(), found.end(), [](const finding& f) { return f.severity > severity::note; });
}

nlohmann::json as_json(const findings& found) {
  auto list = nlohmann::json::array();
  for (const auto& f : found)
    list.push_back({{"severity", to_string(f.severity)},
                    {"check", f.check},
                    {"subject", f.subject},
                    {"text", f.text},
                    {"advice", f.advice}});
  return {{"healthy", is_healthy(found)}, {"findings", std::move(list)}};
}

} // namespace sluice::doctor
