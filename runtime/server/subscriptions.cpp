#include "runtime/server/subscriptions.hpp"

#include "actors/base/case_folding.hpp"
#include "messages/error.hpp"
#include "runtime/json/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sluice {

namespace {

using nlohmann::json;

std::string notification(std::string_view method, json params) {
  return dump({{"jsonrpc", "2.0"}, {"method", method}, {"params", std::move(params)}});
}

std::vector<std::string> in_both(const std::vector<std::string>& touched, const std::vector<std::string>& wanted) {
  std::vector<std::string> result;
  std::copy_if(touched.begin(), touched.end(), std::back_inserter(result), [&](const auto& table) {
    return std::any_of(wanted.begin(), wanted.end(), [&](const auto& x) { return same_name(x, table); });
  });
  return result;
}

} // namespace

subscriptions::id subscriptions::add(wish x, uint64_t newest_seq) {
  auto who = next_++;
  auto seen = x.after_seq;
  subscribers_.emplace(who, subscriber{std::move(x), seen, newest_seq, false});
  catch_up(who);
  return who;
}

void subscriptions::remove(id x) { subscribers_.erase(x); }

bool subscriptions::wanted(const std::string& db) const {
  return std::any_of(subscribers_.begin(), subscribers_.end(), [&](const auto& x) { return x.second.wants.db == db; });
}

void subscriptions::publish(const invalidation& x) {
  // Live commits come in order; one that does not is of another file in the place of the first.
  auto& newest = live_[x.db];
  auto restarted = x.commit_seq > 0 && x.commit_seq <= newest;
  newest = x.commit_seq > 0 ? x.commit_seq : newest;
  // A subscriber may lose its subscription, and so leave, while it is notified.
  for (auto i = subscribers_.begin(); i != subscribers_.end();) {
    auto& [who, to] = *i++;
    if (to.wants.db != x.db)
      continue;
    if (restarted) {
      lose(who, "the database file was replaced");
      continue;
    }
    // An external commit has no commit number.
    if (x.commit_seq == 0) {
      tell(who, to, x);
      continue;
    }
    to.newest_seq = std::max(to.newest_seq, x.commit_seq);
    if (!to.reading && x.commit_seq == to.seen_seq + 1)
      tell(who, to, x);
    else
      catch_up(who);
  }
}

void subscriptions::catch_up(id who) {
  auto& x = subscribers_.at(who);
  if (x.reading || x.seen_seq >= x.newest_seq)
    return;
  x.reading = true;
  past_(x.wants.db, x.seen_seq, [this, who](caf::expected<std::vector<invalidation>> commits) {
    auto found = subscribers_.find(who);
    if (found == subscribers_.end())
      return;
    found->second.reading = false;
    if (!commits)
      return lose(who, describe(commits.error()).message);
    if (commits->empty() || commits->front().commit_seq != found->second.seen_seq + 1)
      return lose(who, "the ledger does not go back that far");
    for (const auto& each : *commits)
      if (each.commit_seq > found->second.seen_seq && !tell(who, found->second, each))
        return;
    catch_up(who);
  });
}

bool subscriptions::tell(id who, subscriber& to, const invalidation& what) {
  auto tables = to.wants.tables.empty() || what.everything ? what.tables : in_both(what.tables, to.wants.tables);
  if (!tables.empty() || what.everything) {
    json params{
      {"subscription", who}, {"db", what.db}, {"tables", texts_as_json(tables)}, {"everything", what.everything}};
    if (what.commit_seq > 0)
      params["commit_seq"] = what.commit_seq;
    if (!to.wants.push(notification("invalidation", std::move(params)), false)) {
      lose(who, "the notifications were not taken fast enough");
      return false;
    }
  }
  if (what.commit_seq > 0)
    to.seen_seq = what.commit_seq;
  return true;
}

void subscriptions::lose(id who, std::string_view reason) {
  auto x = std::move(subscribers_.at(who));
  subscribers_.erase(who);
  json params{{"subscription", who}, {"db", x.wants.db}, {"last_seq", x.seen_seq}, {"reason", reason}};
  // The one document that is sent however far behind the client is.
  x.wants.push(notification("subscription_lost", std::move(params)), true);
}

} // namespace sluice
