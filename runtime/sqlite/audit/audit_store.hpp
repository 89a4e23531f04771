#pragma once

#include "actors/audit/audit_store.hpp"
#include "runtime/sqlite/ledger/ledger_reader.hpp"
#include "runtime/store/config.hpp"
#include "runtime/store/file_registry.hpp"
#include "runtime/store/store_root.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sluice::sqlite {

/// Some commits of a ledger, and its current epoch.
struct ledger_page {
  std::vector<ledger_commit> commits;
  ledger_epoch epoch;
  /// Where the ledger begins since its oldest records were removed.
  std::optional<chain_anchor> anchor{};
  /// The reason to distrust the anchor, as the end of a sentence; empty if there is none.
  std::string doubt{};
};

/// Returns the commits of the database `db` after the number `seq`, in order, all of them or only the first few; none
/// after the last one. `errc::unknown_database` when the file is missing.
using ledger_source = std::function<caf::expected<ledger_page>(const std::string& db, uint64_t seq)>;

/// Reads some thousand commits of the ledger in the file at `path`. Errors as `ledger_reader::open` and `check`.
/// @param immutable as in `connection_options`
caf::expected<ledger_page> read_ledger_page(const std::filesystem::path& path, uint64_t seq, bool immutable = false);

/// Reads the ledgers of the databases in `root`, some thousand commits at a time.
ledger_source ledgers_of(const store_root& root);

/// An audit in a file, which other programs may change.
class audit_file_port : public audit_store {
public:
  /// The last record that this store read or wrote.
  virtual audit_end end() const = 0;

  /// `errc::corrupt` when the file does not end with that record any more. No error for an
  /// unreadable file.
  virtual caf::expected<void> check_end() = 0;

  /// Moves the write-ahead log to the file. Returns whether all records are synced to the disk now.
  virtual bool sync() = 0;
};

/// Opens the audit file `path`, made (0600) when it is missing; one writer at a time. Its records belong to the store
/// whose root reads `root_text`.
///
/// An append does not wait for an fsync: a power cut may lose the last records, which are then restored from the
/// ledgers. `errc::corrupt` when the file is damaged or is no audit file, `protocol_mismatch` when it is of another
/// format; otherwise as `connection::open`.
caf::expected<std::unique_ptr<audit_file_port>> open_audit_store(const std::filesystem::path& path,
                                                                 std::string root_text, ledger_source source,
                                                                 uint64_t page_cache_bytes = 64ULL << 20);

/// Opens the audit of `root`, with the ledgers of its databases.
caf::expected<std::unique_ptr<audit_file_port>> open_audit_store(const store_root& root, const broker_config& config);

/// Recomputes the chain of the audit file `path` through a read-only connection of its own, also while a writer has it
/// open.
///
/// A record is broken when it does not match its own hash, or does not follow from an unbroken record before it. A
/// changed record therefore counts once, and the others are judged separately. A gap in the numbers and a run of
/// unreadable records count as one broken place each. A chain that was cut short looks complete: compare `head` with
/// one that was written down before. @param immutable as in `connection_options`
caf::expected<audit_verdict> verify_audit_file(const std::filesystem::path& path, bool immutable = false);

/// The databases that the audit file `path` knows; none when the file is missing. After a crash, `compare` the ledger
/// of each: the audit may lack its last commits. @param immutable as in `connection_options`
caf::expected<std::vector<std::string>> audited_databases(const std::filesystem::path& path, bool immutable = false);

} // namespace sluice::sqlite
