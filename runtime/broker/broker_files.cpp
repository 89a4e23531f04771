#include "runtime/broker/broker_core.hpp"
#include "runtime/sqlite/audit/audit_store.hpp"
#include "runtime/sqlite/files/file_claims.hpp"
#include "runtime/sqlite/files/file_guard.hpp"
#include "runtime/sqlite/files/wal_cleanup.hpp"

#include <set>

// The work on the files of the store when a broker starts and ends.
namespace sluice {

void broker_core::complete_audit() {
  // A crash may have left commits without audit records in databases that no client opens this time.
  auto audited = sqlite::audited_databases(root.audit_path());
  std::set<std::string> names;
  if (audited)
    names.insert(audited->begin(), audited->end());
  // The audit itself may be missing, or an older copy.
  for (auto& db : registry()->names())
    if (auto resolved = root.resolve(db); resolved && *resolved == db)
      names.insert(std::move(db));
  for (const auto& db : names)
    caf::anon_send(actors->supervisor(), attach_atom{}, db);
  audited_.assign(names.begin(), names.end());
}

void broker_core::remove_wal_files() {
  auto names = audited_;
  for (auto* context : actors->contexts())
    names.push_back(context->name());
  for (const auto& name : names)
    // The name may lead to another file by now.
    if (auto resolved = root.resolve(name); resolved && *resolved == name && !claim_folder_of(name))
      if (files_of(name)->check_place())
        sqlite::remove_wal_files(root.path_of(name));
  sqlite::remove_wal_files(root.audit_path());
  sqlite::remove_wal_files(root.buffer_path());
  sqlite::remove_wal_files(root.logs_path());
  for (const auto& [name, files] : files_) {
    files->note_closed();
    for (const auto& event : files->take_events())
      warn(name + ": " + event.text);
  }
}

caf::error broker_core::find(const std::string& canonical, bool must_exist) const {
  auto path = root.path_of(canonical);
  std::error_code failed;
  // If the lookup fails, the connection refuses the request with the reason.
  if (std::filesystem::symlink_status(path, failed).type() != std::filesystem::file_type::not_found)
    return {};
  auto name = "'" + path.filename().string() + "' ";
  if (must_exist)
    return make_error(errc::unknown_database, name + "does not exist");
  if (std::filesystem::is_directory(path.parent_path(), failed))
    return {};
  return make_error(errc::unknown_database, name + "cannot be created: its folder does not exist");
}

std::shared_ptr<file_registry> broker_core::registry() {
  std::lock_guard guard{mutex_};
  if (!registry_)
    registry_ = std::make_shared<file_registry>(root.folder() / "files.json");
  return registry_;
}

std::shared_ptr<sqlite::file_guard> broker_core::files_of(const std::string& db) {
  auto known_files = registry();
  std::lock_guard guard{mutex_};
  if (!file_claims_)
    file_claims_ = std::make_shared<sqlite::file_claims>();
  auto& known = files_[db];
  if (known)
    return known;
  sqlite::file_guard::settings settings;
  settings.path = root.path_of(db);
  settings.name = db;
  settings.kept_logs = root.folder() / "set-aside";
  settings.registry = std::move(known_files);
  settings.claims = file_claims_;
  settings.descriptors = descriptors;
  settings.now_us = [this] { return wall_us(time); };
  settings.resolve = [this, db]() -> caf::error {
    auto found = root.resolve(db);
    if (!found)
      return std::move(found.error());
    if (*found != db)
      return make_error(errc::invalid_request, "db '" + db + "' leads to another file than before");
    return {};
  };
  return known = std::make_shared<sqlite::file_guard>(std::move(settings));
}

} // namespace sluice
