#include "tests/simulation/checker.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

namespace sluice::simulation {

namespace {

using maybe = std::optional<violation>;

// Executes the requests of a ledger, one commit after the other.
class replay {
public:
  replay(const history& seen, uint32_t db, const database_content& found) : seen_(seen), db_(db), found_(found) {
    for (const auto& write : seen.writes)
      if (write.planned.db == db)
        writes_.emplace(write.request_id, &write);
    for (const auto& read : seen.reads)
      if (read.planned.db == db && !read.lost && read.fate == fate::done)
        reads_.push_back(&read);
  }

  maybe run();

private:
  maybe check_chain() const;
  maybe apply(const sqlite::ledger_commit& commit, const sqlite::ledger_request& request);
  maybe check_order(const write_attempt& attempt);
  bool went_with_restore(const write_attempt& attempt) const;
  maybe check_numbers() const;
  maybe check_effects(const write_attempt& attempt, const std::vector<model::effect>& effects) const;
  maybe check_answers() const;
  maybe check_final() const;
  maybe check_keys() const;
  maybe check_unread() const;
  void satisfy_reads(uint64_t seq);
  bool satisfied(const read_attempt& attempt) const;

  const history& seen_;
  uint32_t db_;
  const database_content& found_;
  std::unordered_map<std::string, const write_attempt*> writes_;
  std::vector<const read_attempt*> reads_;
  model state_;
  // The commit of each request, and the first write of each key.
  std::unordered_map<std::string, uint64_t> places_;
  std::set<uint64_t> numbers_;
  std::unordered_map<std::string, const write_attempt*> by_key_;
  std::unordered_map<std::string, std::vector<model::effect>> effects_;
  uint64_t latest_start_ = 0;
  std::string latest_starter_;
};

maybe replay::check_chain() const {
  if (!found_.trouble.empty())
    return violation{"every file can be read", database_names[db_] + ": " + found_.trouble};
  if (found_.integrity != "ok")
    return violation{"no file is corrupt", database_names[db_] + ": " + found_.integrity};
  if (found_.chain && !found_.chain->intact())
    return violation{"the ledger's chain is whole", found_.chain->reason};
  // A power cut, or a backup that was put in place, may take commits that the audit has; their numbers are not given
  // again. Else the chain allows no gap.
  auto may_be_lost = !seen_.power_losses.empty() || seen_.databases[db_].replaced;
  uint64_t last = 0;
  for (const auto& commit : found_.commits) {
    if (commit.seq != last + 1 && (!may_be_lost || commit.seq <= last))
      return violation{"commits are numbered without gaps", "commit " + std::to_string(commit.seq) + " stands where "
                                                              + std::to_string(last + 1) + " should"};
    last = commit.seq;
  }
  return {};
}

// Whether an acknowledged commit was lost with a database that a backup replaced.
bool replay::went_with_restore(const write_attempt& attempt) const {
  const auto& all = seen_.databases[db_].restores;
  return std::any_of(all.begin(), all.end(), [&](const auto& r) { return r.took(attempt) && attempt.ended > r.event; });
}

maybe replay::check_order(const write_attempt& attempt) {
  if (attempt.ended > 0 && attempt.fate == fate::done && attempt.ended < latest_start_)
    return violation{"commits are in the order of time", attempt.request_id + " was answered before " + latest_starter_
                                                           + " was made, and is in the ledger behind it"};
  if (attempt.began > latest_start_) {
    latest_start_ = attempt.began;
    latest_starter_ = attempt.request_id;
  }
  return {};
}

maybe replay::apply(const sqlite::ledger_commit& commit, const sqlite::ledger_request& request) {
  auto where = request.request_id + " in commit " + std::to_string(commit.seq);
  if (!places_.emplace(request.request_id, commit.seq).second)
    return violation{"nothing is applied twice", where + " has been there before"};
  // Writes of the buffer are checked separately.
  if (request.agent == "sluice:buffer")
    return {};
  auto found = writes_.find(request.request_id);
  if (found == writes_.end())
    return violation{"every request in the ledger was sent", where};
  const auto& result = *found->second;
  if (result.fate == fate::refused)
    return violation{"every refused write is absent", where
                                                        + " was refused: " + std::string{to_string(result.error.code)}
                                                        + ", " + result.error.message};
  if (result.planned.key > 0 && !by_key_.emplace(request.idempotency_key, &result).second)
    return violation{"a key is applied once",
                     where + " has the key of " + by_key_[request.idempotency_key]->request_id};
  if (auto wrong = check_order(result))
    return wrong;
  if (!state_.apply(result.planned.steps, &effects_[result.request_id]))
    return violation{"every committed request could be executed", where + ": " + to_string(result.planned)};
  return {};
}

bool replay::satisfied(const read_attempt& attempt) const {
  for (auto foreign = attempt.foreign_before; foreign <= attempt.foreign_after; ++foreign)
    if (auto rows = state_.answer(attempt.planned.asked, attempt.planned.argument, foreign);
        rows && *rows == attempt.rows)
      return true;
  if (attempt.planned.asked == question::foreign && seen_.databases[db_].foreign_failures > 0)
    return true;
  // The next query that reaches the database notices an external commit. Until then a cached answer may be a little
  // old, but never older than one that a client has seen.
  if (attempt.planned.asked == question::foreign && attempt.planned.freshness == freshness::cached) {
    for (auto foreign = attempt.foreign_shown; foreign <= attempt.foreign_after; ++foreign)
      if (auto rows = state_.answer(attempt.planned.asked, attempt.planned.argument, foreign);
          rows && *rows == attempt.rows)
        return true;
  }
  // The model of the ledger knows nothing of buffered rows.
  return attempt.planned.asked == question::rows;
}

void replay::satisfy_reads(uint64_t seq) {
  std::erase_if(reads_, [&](const read_attempt* attempt) {
    return attempt->acknowledged <= seq && attempt->as_of_seq <= seq && attempt->min_seq <= seq
           && attempt->ended > latest_start_ && satisfied(*attempt);
  });
}

maybe replay::check_unread() const {
  if (reads_.empty())
    return {};
  const auto& result = *reads_.front();
  return violation{"no read is older than its client knows, and each shows a committed state",
                   result.request_id + " (" + to_string(result.planned) + ", " + std::string{to_string(result.source)}
                     + ") read " + (result.rows.empty() ? "nothing" : result.rows) + " as of "
                     + std::to_string(result.as_of_seq) + ", which was not so at any commit from "
                     + std::to_string(std::max(result.acknowledged, result.as_of_seq)) + " on until it was answered"};
}

maybe replay::check_effects(const write_attempt& attempt, const std::vector<model::effect>& effects) const {
  if (attempt.planned.steps.front().action == verb::create)
    return {};
  const auto& results = attempt.result.results;
  if (results.size() != effects.size())
    return violation{"results are those of the model", attempt.request_id + " has results for another number of them"};
  for (size_t i = 0; i < effects.size(); ++i) {
    if (effects[i].changes >= 0 && results[i].changes != effects[i].changes)
      return violation{"results are those of the model", attempt.request_id + ", statement " + std::to_string(i + 1)
                                                           + ": " + std::to_string(results[i].changes)
                                                           + " rows changed instead of "
                                                           + std::to_string(effects[i].changes)};
    auto rows = text_of(results[i].rows);
    auto expected = effects[i].returned ? std::to_string(*effects[i].returned) + ';' : "";
    if (rows != expected)
      return violation{"results are those of the model", attempt.request_id + ", statement " + std::to_string(i + 1)
                                                           + ": returned " + rows + " instead of " + expected};
  }
  return {};
}

// Checks the answers to the clients' writes.
maybe replay::check_answers() const {
  for (const auto& write : seen_.writes) {
    if (write.planned.db != db_ || write.fate != fate::done || write.lost || went_with_restore(write))
      continue;
    auto place = places_.find(write.request_id);
    if (!write.result.replayed) {
      if (place == places_.end())
        return violation{"every acknowledged write is there",
                         write.request_id + " was acknowledged as commit " + std::to_string(write.result.commit_seq)};
      if (place->second != write.result.commit_seq)
        return violation{"every acknowledged write is there", write.request_id + " was acknowledged as commit "
                                                                + std::to_string(write.result.commit_seq)
                                                                + " and is in commit " + std::to_string(place->second)};
      if (auto wrong = check_effects(write, effects_.at(write.request_id)))
        return wrong;
      continue;
    }
    if (place != places_.end())
      return violation{"a replay changes nothing", write.request_id + " was told that it is a replay, and was applied"};
    auto first = by_key_.find(write.key);
    if (first == by_key_.end())
      return violation{"a replay has a first outcome", write.request_id + ": its key is in no commit"};
    if (first->second->planned.steps != write.planned.steps)
      return violation{"a key belongs to one payload", write.request_id + " was given the outcome of "
                                                         + first->second->request_id + ", which is something else"};
    if (places_.at(first->second->request_id) != write.result.commit_seq)
      return violation{"a replay has the first outcome", write.request_id + " was told another commit"};
    if (auto wrong = check_effects(write, effects_.at(first->second->request_id)))
      return wrong;
  }
  return {};
}

// Includes commits that were lost with a file. A crash may lose the audit's record of a commit whose ledger record was
// lost with the file.
maybe replay::check_numbers() const {
  const auto& losses = seen_.audit_losses;
  auto is_issued_again = [&](const write_attempt& attempt) {
    return std::any_of(places_.begin(), places_.end(), [&](const auto& place) {
      const auto& backups = seen_.databases[db_].restores;
      return place.second == attempt.result.commit_seq
             && std::none_of(backups.begin(), backups.end(),
                             [&](const auto& r) { return r.source.requests.contains(place.first); });
    });
  };
  for (const auto& write : seen_.writes)
    if (write.planned.db == db_ && write.taken > 0 && !write.result.replayed
        && (losses.empty() || losses.back() < write.ended) && !places_.contains(write.request_id)
        && is_issued_again(write))
      return violation{"a commit number is issued once", write.request_id + " was acknowledged as commit "
                                                           + std::to_string(write.result.commit_seq)
                                                           + ", which is another one now"};
  return {};
}

maybe replay::check_final() const {
  if (!found_.exists)
    return {};
  for (uint32_t i = 0; i < questions; ++i) {
    auto asked = static_cast<question>(i);
    if (asked == question::one || asked == question::rows)
      continue;
    const auto& known = seen_.databases[db_];
    if (asked == question::foreign && known.foreign_failures > 0)
      continue;
    auto expected = state_.answer(asked, 0, known.foreign);
    if (found_.answers[i] != expected)
      return violation{"the file holds what the ledger says", to_string(asked, 0) + ": "
                                                                + found_.answers[i].value_or("an error")
                                                                + " instead of " + expected.value_or("an error")};
  }
  return {};
}

maybe replay::check_keys() const {
  auto kept = found_.keys;
  std::sort(kept.begin(), kept.end());
  for (const auto& [key, x] : by_key_)
    if (!std::binary_search(kept.begin(), kept.end(), key))
      return violation{"a key is kept with its write", key + " of " + x->request_id + " is not in the file"};
  return {};
}

maybe replay::run() {
  if (auto wrong = check_chain())
    return wrong;
  satisfy_reads(0);
  for (const auto& commit : found_.commits)
    numbers_.insert(commit.seq);
  uint64_t last = 0;
  for (const auto& commit : found_.commits) {
    // A new epoch leaves numbers out, and may have been read before its first commit.
    if (std::exchange(last, commit.seq) + 1 != commit.seq)
      satisfy_reads(commit.seq - 1);
    for (const auto& request : commit.requests)
      if (auto wrong = apply(commit, request))
        return wrong;
    satisfy_reads(commit.seq);
  }
  // An epoch without a commit yet.
  satisfy_reads(found_.epoch_follows);
  for (auto check : {&replay::check_numbers, &replay::check_answers, &replay::check_keys, &replay::check_unread,
                     &replay::check_final})
    if (auto wrong = (this->*check)())
      return wrong;
  return {};
}

} // namespace

maybe check_database(const history& seen, uint32_t db, const database_content& found) {
  return replay{seen, db, found}.run();
}

maybe check_audit(const settings& set, const history& seen, uint32_t db, const database_content& found,
                  const std::vector<audit_record>& records, const audit_verdict& chain) {
  if (!chain.intact())
    return violation{"the audit's chain is whole", chain.reason};
  std::map<std::pair<std::string, std::string>, uint64_t> count;
  for (const auto& each : records)
    if (each.db == database_names[db])
      count[{each.request_id, each.status}] += each.count;
  // The buffer writes batches again under the same id if a power cut or a restore has undone them in the database, but
  // not in the audit.
  auto may_be_undone = set.normal && !seen.power_losses.empty();
  // A backup brings back commits that both had lost; the audit has other commits with these numbers by then.
  auto came_back = [&](const std::string& id) {
    const auto& all = seen.databases[db].restores;
    return std::any_of(all.begin(), all.end(), [&](const auto& r) { return r.source.requests.contains(id); });
  };
  for (const auto& commit : found.commits)
    for (const auto& request : commit.requests) {
      auto recorded = count[{request.request_id, "committed"}];
      auto is_undone = may_be_undone || !seen.databases[db].restores.empty();
      auto again = recorded > 1 && is_undone && request.request_id.starts_with("buffer-");
      if (recorded != 1 && !again && !(may_be_undone && came_back(request.request_id)))
        return violation{"every commit is in the audit once", request.request_id + " of commit "
                                                                + std::to_string(commit.seq) + " has "
                                                                + std::to_string(recorded) + " records"};
    }
  if (seen.audit_troubled)
    return {};
  auto once = [&](const attempt& attempt, const std::string& status) -> maybe {
    auto recorded = count[{attempt.request_id, status}];
    // After its end the audit cannot record a refusal.
    auto nobody_left = attempt.late && recorded == 0 && status == to_string(errc::unavailable);
    if (attempt.planned.db != db || recorded == 1 || nobody_left)
      return {};
    return violation{"every request is in the audit",
                     attempt.request_id + " has " + std::to_string(recorded) + " records that say " + status};
  };
  for (const auto& write : seen.writes) {
    auto status = write.fate == fate::refused ? std::string{to_string(write.error.code)} : "replayed";
    if (write.fate == fate::refused || (write.fate == fate::done && write.result.replayed))
      if (auto wrong = once(write, status))
        return wrong;
  }
  uint64_t hits = 0;
  for (const auto& read : seen.reads) {
    if (read.planned.db != db || read.fate == fate::open || read.fate == fate::unknown)
      continue;
    if (read.fate == fate::done && read.source == read_source::cache)
      ++hits;
    else if (auto wrong = once(read, read.fate == fate::done ? "ok" : std::string{to_string(read.error.code)}))
      return wrong;
  }
  uint64_t recorded_hits = 0;
  for (const auto& record : records)
    if (record.db == database_names[db] && record.type == request_type::cache_hit)
      recorded_hits += record.count;
  if (hits != recorded_hits)
    return violation{"every hit is in the audit",
                     std::to_string(recorded_hits) + " are recorded of " + std::to_string(hits)};
  return {};
}

} // namespace sluice::simulation
