#include "runtime/doctor/live_broker.hpp"

#include "actors/base/counted.hpp"
#include <nlohmann/json.hpp>

#include <fmt/format.h>

namespace sluice::doctor {

namespace {

using nlohmann::json;

uint64_t count(const json& object, const char* pointer) {
  json::json_pointer at{pointer};
  return object.contains(at) && object.at(at).is_number_unsigned() ? object.at(at).get<uint64_t>() : 0;
}

bool holds(const json& object, const char* pointer) {
  json::json_pointer at{pointer};
  return object.contains(at) && object.at(at).is_boolean() && object.at(at).get<bool>();
}

std::string text(const json& object, const char* pointer) {
  json::json_pointer at{pointer};
  return object.contains(at) && object.at(at).is_string() ? object.at(at).get<std::string>() : std::string{};
}

void judge_database(const json& database, findings& out) {
  auto name = text(database, "/name");
  if (holds(database, "/quarantined"))
    out.push_back({severity::problem, "quarantine", name,
                   "it is in quarantine: its actors failed too often, and every request to it is refused",
                   "see integrity and disk_space, then restart the broker"});
  if (auto commits = count(database, "/foreign_commits"); commits > 0)
    out.push_back({severity::warning, "foreign_commits", name,
                   counted(commits, "external commit")
                     + " since the broker started: the ledger has no external commit, so a retry may repeat one",
                   "find the program (foreign_openers, if it still runs), and let it write through sluice"});
  if (auto failures = count(database, "/retry/failures"); failures > 0)
    out.push_back(
      {severity::note, "locks", name,
       counted(failures, "request") + " gave up since the broker started because a process outside it held the lock",
       "see foreign_openers"});
}

void judge_files(const json& status, findings& out) {
  if (holds(status, "/audit/failing"))
    out.push_back({severity::problem, "audit", ".sluice/audit.db",
                   "the broker cannot write it: " + text(status, "/audit/last_error"),
                   "see disk_space and permissions"});
  if (auto lost = count(status, "/audit/lost"); lost > 0)
    out.push_back({severity::warning, "audit", ".sluice/audit.db",
                   "the broker lost " + counted(lost, "record") + " while it could not write the file",
                   "writes among them come back from the ledgers at the next start; reads and refusals do not"});
  if (holds(status, "/log/failing"))
    out.push_back({severity::warning, "log", ".sluice/logs.db",
                   "the broker cannot write it: " + text(status, "/log/last_error"), "see disk_space and permissions"});
  if (auto lost = count(status, "/log/dropped") + count(status, "/log/lost"); lost > 0)
    out.push_back({severity::note, "log", ".sluice/logs.db",
                   "the broker dropped or lost " + counted(lost, "log entry", "log entries") + " since it started",
                   "log less, or raise log_queue"});
}

void judge_buffer(const json& status, findings& out) {
  if (auto error = text(status, "/buffer/last_error"); !error.empty() && count(status, "/buffer/pending") > 0)
    out.push_back({severity::warning, "buffer", "buffer",
                   fmt::format("the last flush of the write-behind buffer failed, with {} pending: {}",
                               counted(count(status, "/buffer/pending"), "row"), error),
                   "they are kept and tried again; without buffer_journal a kill would lose them"});
}

} // namespace

findings judge_status(const json& status) {
  findings out;
  if (!status.is_object())
    return out;
  if (status.contains("databases") && status["databases"].is_array())
    for (const auto& database : status["databases"])
      judge_database(database, out);
  judge_files(status, out);
  judge_buffer(status, out);
  if (auto slow = count(status, "/slow_warnings"); slow > 0)
    out.push_back({severity::note, "slow_requests", "store",
                   counted(slow, "request") + " waited or ran for too long since the broker started",
                   "sluice status shows the slowest, with their plans"});
  if (auto mistake = text(status, "/policy/mistake"); !mistake.empty())
    out.push_back({severity::warning, "policy", "sluice.toml", "the broker has an earlier policy in force: " + mistake,
                   "correct the file"});
  if (out.empty())
    out.push_back({severity::ok, "broker", "store", "the broker reports no problem"});
  return out;
}

} // namespace sluice::doctor
