#include "runtime/capsule/proof_ledger.hpp"

#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/ledger/ledger_codec.hpp"
#include "runtime/sqlite/ledger/ledger_meta.hpp"
#include "runtime/sqlite/ledger/ledger_schema.hpp"
#include "runtime/sqlite/ledger/ledger_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace sluice {

namespace {

// Of the column `requests`; Base64 and the rest of a proof fit into what is left.
constexpr size_t max_proved_bytes = max_proof_bytes / 2;

struct ledger_part {
  sqlite::ledger_epoch epoch;
  std::vector<proved_commit> commits;
};

caf::error absent(uint64_t seq) {
  return make_error(errc::invalid_request, fmt::format("commits: commit {} is not in the ledger", seq));
}

caf::expected<std::vector<proved_commit>> read_commits(const sqlite::connection& db, uint64_t first, uint64_t last) {
  auto stmt = sqlite::prepared_statement::prepare(
    db, fmt::format("SELECT {} FROM _sluice_commits c WHERE c.commit_seq BETWEEN ?1 AND ?2 ORDER BY c.commit_seq",
                    sqlite::commit_columns));
  if (!stmt)
    return std::move(stmt.error());
  stmt->bind(1, static_cast<int64_t>(first));
  stmt->bind(2, static_cast<int64_t>(last));
  std::vector<proved_commit> result;
  for (size_t bytes = 0;;) {
    auto row = stmt->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      return result;
    bytes += stmt->blob(4).size();
    if (bytes > max_proved_bytes)
      return make_error(errc::too_large, "the records of these commits have more than 4 MiB; prove fewer commits");
    result.push_back({static_cast<uint64_t>(stmt->integer(0)), stmt->integer(1), std::string{stmt->blob(2)},
                      std::string{stmt->blob(3)}, std::string{stmt->blob(4)}});
  }
}

caf::expected<ledger_part> read_part(const std::filesystem::path& path, uint64_t first, uint64_t last) {
  auto db = sqlite::connection::open(path, {});
  if (!db)
    return std::move(db.error());
  // All from one state of the database.
  if (auto begun = db->exec("BEGIN"); !begun)
    return std::move(begun.error());
  auto present = sqlite::has_ledger(*db);
  if (!present)
    return std::move(present.error());
  if (!*present)
    return absent(first);
  auto epoch = sqlite::read_epoch(*db);
  if (!epoch)
    return std::move(epoch.error());
  auto commits = read_commits(*db, first, last);
  if (!commits)
    return std::move(commits.error());
  auto anchor = sqlite::read_ledger_anchor(*db);
  if (!anchor)
    return std::move(anchor.error());
  // The record before the oldest one was removed, and the anchor has its hash.
  if (*anchor && !commits->empty() && commits->front().previous.empty()
      && static_cast<uint64_t>((*anchor)->seq) + 1 == commits->front().seq)
    commits->front().previous = (*anchor)->hash;
  return ledger_part{std::move(*epoch), std::move(*commits)};
}

// The hashes of the capsules of a commit; nothing when its record cannot be read.
std::optional<std::vector<std::string>> capsules_of(const proved_commit& commit) {
  auto requests = sqlite::decode_requests(commit.requests);
  if (!requests)
    return std::nullopt;
  std::vector<std::string> result;
  for (auto& each : *requests)
    if (!each.capsule_hash.empty())
      result.push_back(std::move(each.capsule_hash));
  return result;
}

caf::expected<std::vector<std::string>> texts_of(const capsule_file& file, const std::vector<proved_commit>& commits) {
  std::vector<std::string> result;
  std::set<std::string> known;
  for (const auto& commit : commits) {
    auto hashes = capsules_of(commit);
    if (!hashes)
      return make_error(errc::corrupt, fmt::format("the record of commit {} cannot be read", commit.seq));
    for (const auto& hash : *hashes) {
      if (!known.insert(hash).second)
        continue;
      auto text = file.find_text(hash);
      if (!text)
        return std::move(text.error());
      if (!*text)
        return make_error(errc::invalid_request,
                          fmt::format("commits: a capsule of commit {} is not on record any more", commit.seq));
      result.push_back(std::move(**text));
    }
  }
  return result;
}

caf::error check_range(const proof_range& range) {
  if (range.first == 0 || range.last < range.first)
    return make_error(errc::invalid_request, "commits must be numbers from 1, the lower one first");
  if (range.last - range.first >= max_proof_commits)
    return make_error(errc::invalid_request, fmt::format("commits: a proof has at most {} commits", max_proof_commits));
  return {};
}

caf::error check_capsules(capsule_authority& authority, const proof& content) {
  for (const auto& text : content.capsules) {
    auto parsed = parse_capsule(text);
    if (!parsed)
      return std::move(parsed.error());
    auto revoked = authority.is_revoked(parsed->content);
    if (!revoked)
      return std::move(revoked.error());
    if (*revoked)
      return proof_refusal(errc::capsule_invalid, "revoked", "a capsule in it was revoked");
  }
  for (const auto& commit : content.commits) {
    auto capsules = capsules_of(commit);
    if (!capsules || capsules->empty())
      return proof_refusal(errc::capsule_invalid, "capsule",
                           fmt::format("commit {} has no request with a capsule", commit.seq));
  }
  return {};
}

caf::error check_policy(const proof& content, const std::string& policy) {
  auto refuse = [] {
    return proof_refusal(errc::capsule_invalid, "policy", "it is of another policy than the one in force");
  };
  if (content.policy != policy)
    return refuse();
  for (const auto& commit : content.commits)
    if (auto requests = sqlite::decode_requests(commit.requests))
      for (const auto& each : *requests)
        if (!each.policy_hash.empty() && each.policy_hash != policy)
          return refuse();
  return {};
}

} // namespace

caf::expected<std::string> make_proof(capsule_authority& authority, const proof_range& range,
                                      const std::string& policy) {
  if (auto error = check_range(range))
    return error;
  auto part = read_part(range.path, range.first, range.last);
  if (!part)
    return std::move(part.error());
  auto& commits = part->commits;
  for (auto seq = range.first; seq <= range.last; ++seq)
    if (seq - range.first >= commits.size() || commits[seq - range.first].seq != seq)
      return absent(seq);
  if (range.first < part->epoch.first)
    return make_error(errc::invalid_request,
                      fmt::format("commits: the current epoch of the ledger begins with commit {}", part->epoch.first));
  auto issuer = authority.issuer();
  if (!issuer)
    return std::move(issuer.error());
  auto capsules = texts_of(authority.file(), commits);
  if (!capsules)
    return std::move(capsules.error());
  const auto& key = (*issuer)->key.verifying_key();
  proof content{(*issuer)->store,
                {reinterpret_cast<const char*>(key.data()), key.size()},
                range.db,
                part->epoch.id,
                policy,
                std::move(commits),
                std::move(*capsules)};
  auto text = seal(content, (*issuer)->key);
  if (text.size() > max_proof_bytes)
    return make_error(errc::too_large, "the proof would have more than 8 MiB; prove fewer commits");
  // What is handed out can be accepted.
  if (auto opened = open_proof(text); !opened)
    return std::move(opened.error());
  return text;
}

caf::expected<promotion>
check_proof(capsule_authority& authority, std::string_view text, const std::string& policy,
            const std::function<caf::expected<std::filesystem::path>(const std::string&)>& path) {
  auto content = open_proof(text);
  if (!content)
    return std::move(content.error());
  auto issuer = authority.issuer();
  if (!issuer)
    return std::move(issuer.error());
  const auto& key = (*issuer)->key.verifying_key();
  if (content->store != (*issuer)->store
      || content->key != std::string_view{reinterpret_cast<const char*>(key.data()), key.size()})
    return proof_refusal(errc::wrong_store, "store", "another store has made it");
  if (auto error = check_policy(*content, policy))
    return error;
  auto file = path(content->db);
  if (!file)
    return std::move(file.error());
  auto part = read_part(*file, content->commits.front().seq, content->commits.back().seq);
  if (!part)
    return std::move(part.error());
  if (content->epoch != part->epoch.id || content->commits.front().seq < part->epoch.first)
    return proof_refusal(errc::conflict, "epoch", "it is of an earlier epoch of the ledger");
  if (content->commits != part->commits)
    return proof_refusal(errc::conflict, "ledger", "its records are not those in the ledger");
  if (auto error = check_capsules(authority, *content))
    return error;
  return promotion{0,
                   0,
                   {},
                   content->db,
                   content->commits.front().seq,
                   content->commits.back().seq,
                   content->commits.back().hash,
                   proof_hash(text),
                   content->policy};
}

} // namespace sluice
