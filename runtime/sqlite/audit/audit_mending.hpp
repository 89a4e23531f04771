#pragma once

#include "actors/base/clock.hpp"
#include "runtime/sqlite/audit/audit_store.hpp"
#include "runtime/store/file_registry.hpp"

#include <functional>
#include <memory>
#include <string>

namespace sluice::sqlite {

/// Called with a sentence each time that a new audit file replaces an unusable one.
using mending_report = std::function<void(const std::string& text)>;

/// Opens the audit of `root` so that auditing goes on if the file is damaged.
///
/// A damaged or invalid file is renamed to `audit.db.damaged-TIME`; a new one begins with an `audit_gap` record whose
/// `key` is that name, and is completed from the ledgers of the databases that either file or this process knows. The
/// file is also replaced if it lacks records that `registry` knows (`find_missing_records`), because the file was
/// emptied, deleted, cut short or replaced by an older copy; and if it was moved or deleted while it was open. If only
/// its `-wal` was, the store closes the file, which moves the content of the `-wal` to the file, and opens it again. It
/// returns other errors: a full disk, a file that cannot be renamed, another format. `registry` records the end of the
/// audit: at the opening and the closing of the file, with the first record and after each thousand. One thread at a
/// time uses `time`, `report` and the store.
caf::expected<std::unique_ptr<audit_store>> open_mended_audit_store(const store_root& root, const broker_config& config,
                                                                    const clock& time,
                                                                    std::shared_ptr<file_registry> registry,
                                                                    mending_report report);

} // namespace sluice::sqlite
