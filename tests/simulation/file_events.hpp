#pragma once

#include "tests/simulation/clients.hpp"
#include "tests/simulation/files.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace sluice::simulation {

/// A database cannot be repaired: the run of the seed ends here, without a violation.
struct beyond_repair {};

/// Changes to the files of the store by other programs and people, and the repairs afterwards.
class file_events {
public:
  /// All arguments must outlive this object.
  file_events(const plan& script, world& where, clients& who, std::vector<std::unique_ptr<external_process>>& others,
              dice& luck, trace& trace)
    : plan_(script), world_(where), clients_(who), others_(others), luck_(luck), trace_(trace) {}

  /// Removes the WAL, its index, or both, as a clean-up script does.
  void remove_log(const incident& event);

  /// Copies the store, and checks that the copy has every commit acknowledged by then.
  std::optional<violation> copy_store();

  void take_backup(uint32_t db);
  /// Replaces the database by the backup; the store is repaired some time after `step`.
  void restore_backup(uint32_t db, bool overwrites, uint64_t step);

  /// The newest commits in the databases that may have lost some: in all, or in those whose WAL was removed.
  /// @throws beyond_repair when the WAL of an interrupted checkpoint was lost
  std::vector<std::optional<uint64_t>> newest_commits(bool of_all) const;
  /// The process has ended: the content of a WAL that was removed from the folder is lost.
  void process_died(uint64_t step);
  /// The broker was closed: the content of such a WAL is lost if a failure of the disk kept the broker from saving it.
  void broker_closed(uint64_t step);

  bool wants_repair(uint64_t step) const noexcept { return repair_at_ != 0 && step >= repair_at_; }
  /// As `sluice doctor --repair`, while no broker runs; does nothing unless a repair is due.
  void repair(uint64_t step);

private:
  const plan& plan_;
  world& world_;
  clients& clients_;
  std::vector<std::unique_ptr<external_process>>& others_;
  dice& luck_;
  trace& trace_;
  std::vector<std::optional<backup>> backups_ = std::vector<std::optional<backup>>(2);
  // The step from which on a repair is due; 0 when none is.
  uint64_t repair_at_ = 0;
};

} // namespace sluice::simulation
