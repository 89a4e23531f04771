#include "runtime/sqlite/audit/audit_anchor.hpp"

#include "messages/error.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"

#include <utility>

namespace sluice::sqlite {

namespace {

template <class Bytes> std::string_view view_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

chain_hash::digest digest_of(const audit_anchor& anchor) {
  chain_hash hash;
  return hash.add("audit anchor")
    .add(static_cast<uint64_t>(anchor.seq))
    .add(anchor.hash)
    .add(static_cast<uint64_t>(anchor.records))
    .add(static_cast<uint64_t>(anchor.pruned_us))
    .finish();
}

} // namespace

caf::expected<std::optional<audit_anchor>> read_anchor(const connection& db) {
  auto tables = read_number(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'anchor'");
  if (!tables)
    return std::move(tables.error());
  if (*tables == 0)
    return std::optional<audit_anchor>{};
  auto stmt = prepared_statement::prepare(db, "SELECT seq, hash, records, pruned_us, key, signature FROM anchor");
  if (!stmt)
    return std::move(stmt.error());
  auto row = stmt->step();
  if (!row)
    return std::move(row.error());
  if (!*row)
    return std::optional<audit_anchor>{};
  return std::optional{audit_anchor{stmt->integer(0), std::string{stmt->blob(1)}, stmt->integer(2), stmt->integer(3),
                                    std::string{stmt->blob(4)}, std::string{stmt->blob(5)}}};
}

caf::expected<void> write_anchor(const connection& db, audit_anchor anchor, const signing_key& key) {
  auto digest = digest_of(anchor);
  auto signature = key.sign(bytes_of(digest));
  auto stmt = prepared_statement::prepare(db, "INSERT OR REPLACE INTO anchor VALUES (1, ?, ?, ?, ?, ?, ?)");
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, anchor.seq);
  stmt->bind_blob(2, anchor.hash);
  stmt->bind(3, anchor.records);
  stmt->bind(4, anchor.pruned_us);
  stmt->bind_blob(5, view_of(key.verifying_key()));
  stmt->bind_blob(6, view_of(signature));
  return stmt->run();
}

std::filesystem::path anchor_key_path(const std::filesystem::path& audit) {
  auto result = audit;
  return result.replace_extension(".key");
}

std::string doubt_about(const audit_anchor& anchor, const std::filesystem::path& audit) {
  auto digest = digest_of(anchor);
  if (!is_signed_by(anchor.key, bytes_of(digest), anchor.signature))
    return "does not match its signature";
  auto path = anchor_key_path(audit);
  auto key = signing_key::open(path);
  if (!key)
    return "cannot be checked: " + describe(key.error()).message;
  if (!*key)
    return "cannot be checked: " + path.filename().string() + " is missing";
  return view_of((*key)->verifying_key()) == anchor.key ? std::string{} : "is signed with another key than the store's";
}

} // namespace sluice::sqlite
