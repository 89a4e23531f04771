#include "tests/simulation/plan.hpp"

#include <array>
#include <string>
#include <string_view>

// Prints a plan as text for people.
namespace sluice::simulation {

namespace {

std::string in_ms(std::chrono::milliseconds milliseconds) { return std::to_string(milliseconds.count()) + " ms"; }

} // namespace

std::string to_string(const operation& op) {
  auto result = database_names[op.db] + ": ";
  auto optional = [](const char* name, const std::optional<int64_t>& content) {
    return content ? std::string{" "} + name + '=' + std::to_string(*content) : std::string{};
  };
  switch (op.type) {
  case operation::kind::write:
    result += "write";
    for (const auto& one : op.steps)
      result += " [" + to_string(one) + ']';
    if (op.key > 0)
      result += " under key " + std::to_string(op.key) + ", again " + std::to_string(op.retries) + " times";
    break;
  case operation::kind::read:
    result += "read " + to_string(op.asked, op.argument) + (op.freshness == freshness::fresh ? ", fresh" : "")
              + (op.since_own ? ", as new as known" : "")
              + (op.alias > 0 ? ", as name " + std::to_string(op.alias) : "");
    break;
  case operation::kind::put:
    result += "buffer " + std::string{op.erases ? "delete" : "upsert"} + " row " + std::to_string(op.argument)
              + optional("a", op.a) + optional("b", op.b);
    break;
  case operation::kind::get: result += "get row " + std::to_string(op.argument); break;
  case operation::kind::flush: result += "flush"; break;
  case operation::kind::log: result += "log"; break;
  }
  if (op.work.count() > 0)
    result += " for " + in_ms(op.work);
  if (op.deadline.count() > 0)
    result += " within " + in_ms(op.deadline);
  return result + (op.waits ? "" : ", at once");
}

std::string to_string(const incident& event) {
  constexpr std::array<std::string_view, 26> words{"the writer is killed",
                                                   "a reader is killed",
                                                   "the cache is killed",
                                                   "the audit is killed",
                                                   "the buffer is killed",
                                                   "the log is killed",
                                                   "the process is killed",
                                                   "the power is cut",
                                                   "orderly restart",
                                                   "the disk fails",
                                                   "the disk is full",
                                                   "the disk is slow",
                                                   "process dies at disk",
                                                   "power cut at disk",
                                                   "the disk is healed",
                                                   "an external process holds the lock",
                                                   "an external process commits",
                                                   "time passes",
                                                   "the log is removed",
                                                   "the wall clock jumps",
                                                   "a client leaves",
                                                   "the store is copied",
                                                   "a backup is taken",
                                                   "a backup is put in place",
                                                   "a backup is copied over",
                                                   "a request is cancelled"};
  auto result = "after operation " + std::to_string(event.after) + " and " + std::to_string(event.steps)
                + " steps: " + std::string{words[static_cast<size_t>(event.type)]};
  return result + " (" + database_names[event.db] + ", file " + std::to_string(event.file) + ", disk operation "
         + std::to_string(event.disk) + ", skip " + std::to_string(event.skip) + ", times "
         + std::to_string(event.times) + ", " + in_ms(event.time) + ')';
}

std::string to_string(const plan& plan) {
  auto flag = [](bool set, const char* word) { return set ? std::string{word} + ", " : std::string{}; };
  constexpr std::array<std::string_view, 4> orders{"any order", "first come", "last come", "one waits"};
  auto result = "seed " + std::to_string(plan.seed) + ": " + flag(plan.set.normal, "NORMAL")
                + flag(plan.set.journal, "journal") + flag(!plan.set.cache, "no cache")
                + std::string{orders[static_cast<size_t>(plan.set.by)]} + ", " + std::to_string(plan.set.readers)
                + " readers, groups of " + std::to_string(plan.set.group) + ", checkpoint at "
                + std::to_string(plan.set.checkpoint_bytes) + " bytes, "
                + (plan.set.ledger_bytes > 0 ? std::to_string(plan.set.ledger_bytes) + " bytes of ledger, " : "")
                + "queue of " + std::to_string(plan.set.queue) + (plan.set.timed ? ", timed, " : ", ")
                + std::to_string(plan.set.buffer_pending) + " buffered rows\n";
  for (size_t i = 0; i < plan.clients.size(); ++i)
    for (const auto& operation : plan.clients[i])
      result += "  client " + std::to_string(i + 1) + ": " + to_string(operation) + '\n';
  for (const auto& one : plan.incidents)
    result += "  " + to_string(one) + '\n';
  return result;
}

} // namespace sluice::simulation
