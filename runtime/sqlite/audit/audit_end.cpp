#include "runtime/sqlite/audit/audit_end.hpp"

#include "runtime/sqlite/audit/audit_anchor.hpp"
#include "runtime/sqlite/audit/audit_file.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"

#include <optional>

namespace sluice::sqlite {

namespace {

struct found_end {
  audit_head head;
  // The hash of the known record, if the file has it.
  std::optional<std::string> known_hash;
  // The last record that the store itself has removed.
  int64_t pruned_seq = 0;
};

caf::expected<found_end> read_end(const std::filesystem::path& path, uint64_t known_seq, bool immutable) {
  connection_options options;
  options.page_cache_bytes = 1U << 20;
  options.immutable = immutable;
  auto db = connection::open(path, options);
  if (!db && code_of(db.error()) == errc::unknown_database)
    return found_end{};
  if (!db)
    return std::move(db.error());
  if (auto known = check_audit_file(*db); !known)
    return std::move(known.error());
  auto head = read_head(*db);
  if (!head)
    return std::move(head.error());
  auto hash = read_hash(*db, static_cast<int64_t>(known_seq));
  if (!hash)
    return std::move(hash.error());
  auto anchor = read_anchor(*db);
  if (!anchor)
    return std::move(anchor.error());
  auto is_trusted = *anchor && doubt_about(**anchor, "audit", anchor_key_path(path)).empty();
  return found_end{std::move(*head), *hash ? std::optional{to_hex(**hash)} : std::nullopt,
                   is_trusted ? (*anchor)->seq : 0};
}

// A database that was copied into the store has commits that no audit here had. A broker of this store has used those
// in `registry`, and has copied their commits into the audit.
std::string find_unaudited_ledger(const file_registry& registry, const ledger_source& source) {
  for (const auto& db : registry.names())
    if (auto page = source(db, 0); page && !page->commits.empty())
      return db;
  return {};
}

} // namespace

caf::expected<std::string> find_missing_records(const std::filesystem::path& path, const file_registry& registry,
                                                std::string_view boot, const ledger_source& source, bool immutable) {
  auto noted = registry.known_audit_end(boot);
  auto known = noted.value_or(audit_end{});
  auto found = read_end(path, known.seq, immutable);
  if (!found)
    return std::move(found.error());
  auto last = static_cast<uint64_t>(found->head.seq);
  auto written = "record " + std::to_string(known.seq) + " had been written";
  if (last < known.seq && last == 0)
    return "it has no records, but " + written + ": it was emptied or deleted";
  if (last < known.seq)
    return "it ends with record " + std::to_string(last) + ", but " + written
           + ": it is an older copy, or was cut short";
  auto was_pruned = static_cast<int64_t>(known.seq) <= found->pruned_seq;
  if (known.seq > 0 && !was_pruned && found->known_hash != known.hash)
    return "its record " + std::to_string(known.seq) + " is not the one that the broker wrote: it is another file";
  // The broker that noted an empty file may have been killed before it wrote a record.
  if (last > 0 || noted)
    return std::string{};
  auto db = find_unaudited_ledger(registry, source);
  return db.empty() ? std::string{} : "it has no records, but '" + db + "' has commits: it was emptied or deleted";
}

} // namespace sluice::sqlite
