#include "tests/simulation/file_events.hpp"

#include "runtime/doctor/repair.hpp"
#include "runtime/sqlite/files/vfs_file.hpp"

#include <utility>

namespace sluice::simulation {

void file_events::remove_log(const incident& event) {
  // Another program that has them open loses its later writes; the broker is not responsible for that.
  others_[event.db]->release();
  auto file = world_.path_of(event.db).string();
  // A file that no connection has open cannot be saved.
  if (!world_.is_open(file + "-wal"))
    return;
  // The removal is durable: a name that a power cut restored would be another file here, but the same one in reality.
  if (event.file != 1) {
    sqlite::remove_file(file + "-wal");
    auto& known = clients_.seen.databases[event.db];
    known.exposed = true;
    known.exposed_since = ++clients_.seen.event;
  }
  if (event.file != 0)
    std::filesystem::remove(file + "-shm");
}

std::optional<violation> file_events::copy_store() {
  auto& seen = clients_.seen;
  for (uint32_t db = 0; db < plan_.set.databases && !seen.disk_troubled; ++db) {
    const auto& known = seen.databases[db];
    // While the copy is made and checked, clients may get answers of later commits.
    auto acknowledged = known.acknowledged;
    auto copy = world_.file("copy-of-" + database_names[db]);
    if (known.in_danger() || !copy_database(world_.path_of(db), copy))
      continue;
    auto found = look_into(copy);
    remove_database(copy);
    auto newest = found.commits.empty() ? 0 : found.commits.back().seq;
    if (found.integrity != "ok" || newest < acknowledged)
      return violation{"a copy holds every acknowledged write", database_names[db] + ": " + found.integrity
                                                                  + ", commit " + std::to_string(newest) + " of "
                                                                  + std::to_string(acknowledged)};
  }
  return {};
}

void file_events::take_backup(uint32_t db) {
  if (clients_.seen.databases[db].in_danger())
    return;
  others_[db]->release();
  auto to = world_.file("backup-of-" + database_names[db]);
  remove_database(to);
  backups_[db].reset();
  if (!back_up(world_.path_of(db), to))
    return;
  auto found = look_into(to);
  if (found.integrity != "ok" || found.commits.empty())
    return;
  auto& result = backups_[db].emplace();
  result.seq = found.commits.back().seq;
  result.foreign = found.foreign;
  result.keys.insert(found.keys.begin(), found.keys.end());
  for (const auto& commit : found.commits)
    for (const auto& request : commit.requests)
      result.requests.insert(request.request_id);
}

void file_events::restore_backup(uint32_t db, bool overwrites, uint64_t step) {
  if (!backups_[db])
    return;
  others_[db]->release();
  auto from = world_.file("backup-of-" + database_names[db]);
  auto kept = *std::exchange(backups_[db], std::nullopt);
  // The broker is not responsible for a partial backup.
  world_.faults().heal();
  if (!put_in_place(from, world_.path_of(db), overwrites))
    return;
  trace_.note(world_.time(), "machine", "commit " + std::to_string(kept.seq) + " is the newest again");
  clients_.seen.audit_troubled = true;
  clients_.restored(db, std::move(kept));
  repair_at_ = step + 1 + luck_.pick(400);
}

std::vector<std::optional<uint64_t>> file_events::newest_commits(bool of_all) const {
  std::vector<std::optional<uint64_t>> result(plan_.set.databases);
  for (uint32_t db = 0; db < plan_.set.databases; ++db) {
    auto exposed = clients_.seen.databases[db].exposed;
    if (exposed && clients_.seen.disk_troubled && integrity_of(world_.path_of(db)) != "ok")
      throw beyond_repair{};
    if (exposed || of_all)
      result[db] = newest_commit(world_.path_of(db));
  }
  return result;
}

void file_events::process_died(uint64_t step) {
  for (auto& database : clients_.seen.databases)
    if (std::exchange(database.exposed, false)) {
      database.replaced = true;
      // Commits of other programs may be lost as well.
      ++database.foreign_failures;
      database.log_losses.push_back(++clients_.seen.event);
      repair_at_ = step + 1 + luck_.pick(300);
    }
}

void file_events::broker_closed(uint64_t step) {
  for (uint32_t db = 0; db < plan_.set.databases; ++db) {
    auto& known = clients_.seen.databases[db];
    auto was_exposed = std::exchange(known.exposed, false);
    if (!was_exposed || !clients_.seen.disk_troubled)
      continue;
    // Faults meant for the broker must not hit the check.
    world_.faults().heal();
    auto newest = newest_commit(world_.path_of(db));
    if (newest >= known.acknowledged)
      continue;
    known.exposed = true;
    process_died(step);
    clients_.forget_after(db, newest);
  }
}

void file_events::repair(uint64_t step) {
  if (!wants_repair(step))
    return;
  // A store is not repaired on a failing disk.
  world_.faults().heal();
  auto root = store_root::open(world_.file({}));
  auto failed = !root;
  if (root)
    for (const auto& each : doctor::repair_store(*root, world_.time()))
      failed = failed || each.failed;
  repair_at_ = failed ? step + 50 : 0;
  trace_.note(world_.time(), "doctor", failed ? "could not repair the store" : "has repaired the store");
}

} // namespace sluice::simulation
