#pragma once

#include "actors/store.hpp"
#include "runtime/sqlite/connection.hpp"
#include "runtime/sqlite/ledger_codec.hpp"
#include "runtime/sqlite/statement.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace sluice::sqlite {

/// Whether the database has a ledger. `errc::protocol_mismatch` when it is of another format, `corrupt` when tables of
/// its names are there but not in its shape.
caf::expected<bool> has_ledger(const connection& db);

/// The hash of the commit record `seq`; nothing when there is none.
caf::expected<std::optional<std::string>> find_commit(const connection& db, uint64_t seq);

/// The number of the newest commit in the file at `path`; 0 when it has no ledger or no commit yet. Errors as
/// `connection::open` and `has_ledger`.
caf::expected<uint64_t> last_commit_seq(const std::filesystem::path& path);

/// The broker's book inside the user's database, kept in the same transactions as what it is about:
/// `_sluice_commits` has one hash-chained record per COMMIT, `_sluice_keys` the outcome under each idempotency key,
/// `_sluice_meta` the format. Works on the writer's connection, in its thread.
class ledger {
public:
  /// `db` outlives this.
  explicit ledger(const connection& db) : db_(db) {}

  /// Joins the transaction just begun: creates the tables if they are missing, and reads the last record if it is not
  /// known. With `reread`, because someone else has committed, everything is looked at again. Errors as `has_ledger`.
  caf::expected<void> enter(bool reread);

  /// Whether the open transaction created the tables.
  bool created() const noexcept { return created_; }

  uint64_t next_seq() const noexcept { return head_seq_ + 1; }

  /// As in `write_store`.
  caf::expected<std::optional<write_result>> recall(const write_request& request);
  caf::expected<void> remember(const write_request& request, const write_result& result, int64_t now_us);

  /// Adds the commit record and returns its hash. `errc::internal` when `seq` is not the next one.
  caf::expected<digest> append(uint64_t seq, int64_t ts_us, std::span<const ledger_entry> entries);

  /// The transaction ended. Unless it is known to have committed, everything is read anew by the next `enter`.
  void committed() noexcept;
  void lost() noexcept;

  /// Deletes those of the 5,000 oldest keys that were kept before `before_us`, so that no write waits long behind it;
  /// returns how many. @pre no transaction is open
  caf::expected<uint64_t> prune(int64_t before_us);

private:
  caf::expected<void> create();
  caf::expected<void> prepare();
  caf::expected<void> read_head();

  const connection& db_;
  bool ready_ = false;
  bool created_ = false;
  bool head_known_ = false;
  uint64_t head_seq_ = 0;
  std::string head_hash_;
  uint64_t appended_seq_ = 0;
  digest appended_hash_{};
  std::string requests_;
  chain_hash hash_;
  prepared_statement last_commit_;
  prepared_statement insert_commit_;
  prepared_statement find_key_;
  prepared_statement insert_key_;
};

} // namespace sluice::sqlite
