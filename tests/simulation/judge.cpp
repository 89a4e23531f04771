#include "tests/simulation/judge.hpp"

#include "runtime/sqlite/audit/audit_store.hpp"
#include "tests/simulation/checker.hpp"
#include "tests/simulation/files.hpp"

namespace sluice::simulation {

std::optional<violation> judge(const settings& set, const history& seen, const world& where) {
  auto audit = where.file(".sluice/audit.db");
  auto records = audit_records(audit);
  auto chain = sqlite::verify_audit_file(audit);
  if (!records || !chain)
    return violation{"every file can be read",
                     "the audit: " + describe(records ? chain.error() : records.error()).message};
  for (auto* name : {".sluice/audit.db", ".sluice/buffer.db", ".sluice/logs.db"})
    if (auto found = integrity_of(where.file(name)); found != "ok")
      return violation{"no file is corrupt", name + (": " + found)};
  for (uint32_t db = 0; db < set.databases; ++db) {
    auto found = look_into(where.path_of(db));
    add_removed_commits(found, database_names[db], *records);
    if (auto wrong = check_database(seen, db, found))
      return wrong;
    if (auto wrong = check_audit(set, seen, db, found, *records, *chain))
      return wrong;
    if (auto wrong = check_buffer(set, seen, db, found))
      return wrong;
  }
  return {};
}

} // namespace sluice::simulation
