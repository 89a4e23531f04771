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

subscriptions::id subscriptions::add(wish wish, uint64_t newest_seq) {
  auto subscription = next_++;
  auto seen = wish.after_seq;
  subscribers_.emplace(subscription, subscriber{std::move(wish), seen, newest_seq, false});
  catch_up(subscription);
  return subscription;
}

void subscriptions::remove(id subscription) { subscribers_.erase(subscription); }

bool subscriptions::wanted(const std::string& db) const {
  return std::any_of(subscribers_.begin(), subscribers_.end(), [&](const auto& x) { return x.second.wants.db == db; });
}

void subscriptions::publish(const invalidation& change) {
  // Commits are published in order; a smaller number belongs to another file that replaced the first.
  auto& newest = live_[change.db];
  auto restarted = change.commit_seq > 0 && change.commit_seq <= newest;
  newest = change.commit_seq > 0 ? change.commit_seq : newest;
  // A subscriber may lose its subscription, and so be removed, while it is notified.
  for (auto i = subscribers_.begin(); i != subscribers_.end();) {
    auto& [subscription, to] = *i++;
    if (to.wants.db != change.db)
      continue;
    if (restarted) {
      lose(subscription, "the database file was replaced");
      continue;
    }
    // An external commit has no commit number.
    if (change.commit_seq == 0) {
      notify(subscription, to, change);
      continue;
    }
    to.newest_seq = std::max(to.newest_seq, change.commit_seq);
    if (!to.reading && change.commit_seq == to.seen_seq + 1)
      notify(subscription, to, change);
    else
      catch_up(subscription);
  }
}

void subscriptions::catch_up(id subscription) {
  auto& subscriber = subscribers_.at(subscription);
  if (subscriber.reading || subscriber.seen_seq >= subscriber.newest_seq)
    return;
  subscriber.reading = true;
  past_(subscriber.wants.db, subscriber.seen_seq,
        [this, subscription](caf::expected<std::vector<invalidation>> commits) {
          auto found = subscribers_.find(subscription);
          if (found == subscribers_.end())
            return;
          found->second.reading = false;
          if (!commits)
            return lose(subscription, describe(commits.error()).message);
          if (commits->empty() || commits->front().commit_seq != found->second.seen_seq + 1)
            return lose(subscription, "the ledger does not go back that far");
          for (const auto& each : *commits)
            if (each.commit_seq > found->second.seen_seq && !notify(subscription, found->second, each))
              return;
          catch_up(subscription);
        });
}

bool subscriptions::notify(id subscription, subscriber& to, const invalidation& change) {
  auto tables = to.wants.tables.empty() || change.everything ? change.tables : in_both(change.tables, to.wants.tables);
  if (!tables.empty() || change.everything) {
    json params{{"subscription", subscription},
                {"db", change.db},
                {"tables", texts_as_json(tables)},
                {"everything", change.everything}};
    if (change.commit_seq > 0)
      params["commit_seq"] = change.commit_seq;
    if (!to.wants.push(notification("invalidation", std::move(params)), false)) {
      lose(subscription, "the notifications were not taken fast enough");
      return false;
    }
  }
  if (change.commit_seq > 0)
    to.seen_seq = change.commit_seq;
  return true;
}

void subscriptions::lose(id subscription, std::string_view reason) {
  auto subscriber = std::move(subscribers_.at(subscription));
  subscribers_.erase(subscription);
  json params{
    {"subscription", subscription}, {"db", subscriber.wants.db}, {"last_seq", subscriber.seen_seq}, {"reason", reason}};
  // Sent even to a client that has not read earlier documents; no other document is.
  subscriber.wants.push(notification("subscription_lost", std::move(params)), true);
}

} // namespace sluice
