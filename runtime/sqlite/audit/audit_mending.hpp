#pragma once

#include "actors/base/clock.hpp"
#include "runtime/sqlite/audit/audit_store.hpp"
#include "runtime/store/file_registry.hpp"

#include <functional>
#include <memory>
#include <string>

namespace sluice::sqlite {

/// Called with a sentence, each time that the audit file could not be used any more and a new one was begun.
using mending_report = std::function<void(const std::string& text)>;

/// Opens the audit of `root` so that auditing goes on if the file is damaged.
///
/// A damaged or invalid file is renamed to `audit.db.damaged-TIME`; a new one begins with an `audit_gap` record whose
/// `key` is that name, and is completed from the ledgers of the databases that either file or this process knows of.
/// The same happens if records are missing that `registry` knows of (`find_missing_records`), because the file was
/// emptied, deleted, cut short or replaced by an older copy; and if it was moved or deleted while it was open. If only
/// its `-wal` was, the file is closed, which moves the content of the `-wal` to the file, and opened again. Other
/// errors are returned: a full disk, a file that cannot be renamed, another format. `registry` records the end of the
/// audit: when the file is opened and closed, with the first record and after each thousand. `time`, `report` and the
/// store are used by one thread at a time.
caf::expected<std::unique_ptr<audit_store>> open_mended_audit_store(const store_root& root, const broker_config& config,
                                                                    const clock& time,
                                                                    std::shared_ptr<file_registry> registry,
                                                                    mending_report report);

} // namespace sluice::sqlite
