#include "runtime/sqlite/ledger/ledger_meta.hpp"

#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"
#include "runtime/sqlite/ledger/ledger_schema.hpp"

#include <sstream>

namespace sluice::sqlite {

caf::expected<std::optional<std::string>> read_meta(const connection& db, std::string_view name) {
  auto stmt = prepared_statement::prepare(db, "SELECT value FROM _sluice_meta WHERE name = ?1");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, name);
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  return *row ? std::optional{std::string{stmt->text(0)}} : std::nullopt;
}

caf::expected<void> write_meta(const connection& db, std::string_view name, const std::string& content) {
  auto stmt = prepared_statement::prepare(db, "INSERT OR REPLACE INTO _sluice_meta(name, value) VALUES (?1, ?2)");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind_text(1, name);
  stmt->bind_text(2, content);
  return stmt->run();
}

caf::error unreadable_meta(std::string_view name) {
  return ledger_damaged("the row '" + std::string{name} + "' in _sluice_meta cannot be read");
}

caf::expected<std::optional<chain_anchor>> read_ledger_anchor(const connection& db) {
  auto content = read_meta(db, "anchor");
  if (!content)
    return std::move(content.error());
  if (!*content)
    return std::optional<chain_anchor>{};
  chain_anchor anchor;
  std::string hash;
  std::string key;
  std::string signature;
  std::istringstream in{**content};
  in >> anchor.seq >> hash >> anchor.records >> anchor.pruned_us >> key >> signature;
  auto hash_bytes = from_hex(hash);
  auto key_bytes = from_hex(key);
  auto signature_bytes = from_hex(signature);
  if (in.fail() || anchor.seq < 1 || !hash_bytes || hash_bytes->size() != sizeof(chain_hash::digest) || !key_bytes
      || !signature_bytes)
    return unreadable_meta("anchor");
  anchor.hash = std::move(*hash_bytes);
  anchor.key = std::move(*key_bytes);
  anchor.signature = std::move(*signature_bytes);
  return std::optional{std::move(anchor)};
}

caf::expected<void> write_ledger_anchor(const connection& db, chain_anchor anchor, const signing_key& key) {
  sign(anchor, "ledger", key);
  return write_meta(db, "anchor",
                    std::to_string(anchor.seq) + ' ' + to_hex(anchor.hash) + ' ' + std::to_string(anchor.records) + ' '
                      + std::to_string(anchor.pruned_us) + ' ' + to_hex(anchor.key) + ' ' + to_hex(anchor.signature));
}

} // namespace sluice::sqlite
