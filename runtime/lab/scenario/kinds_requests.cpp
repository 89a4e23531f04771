#include "runtime/lab/scenario/kinds.hpp"

#include <algorithm>
#include <utility>

namespace sluice::scenario {

namespace {

using nlohmann::json;
using enum field_type;

const field table_field{"table", text, "The table", true};
const field key_field{"key", columns, "The columns of the primary key, or of a unique index", true};

// The method has the name of the step.
void call_method(runner& in, const step& step, json fields, on_answer done) {
  in.on().call(step.agent, step.kind->name, std::move(fields), std::move(done));
}

void call_write(runner& in, const step& step, json fields, on_answer done) {
  if (auto sql = fields.find("sql"); sql != fields.end()) {
    json statement{{"sql", *sql}};
    if (auto params = fields.find("params"); params != fields.end())
      statement["params"] = *params;
    fields.erase("sql");
    fields.erase("params");
    fields["statements"] = json::array({std::move(statement)});
  }
  in.on().call(step.agent, "write", std::move(fields), std::move(done));
}

void check_write(const node& fields) {
  const auto* list = fields.find("statements");
  const auto* sql = fields.find("sql");
  if (!list && !sql)
    throw mistake{fields.at, "write needs sql: a text, or statements: a list of statements"};
  if (list && sql)
    throw mistake{sql->at, "write has either sql or statements, not both"};
  if (const auto* params = fields.find("params"); params && !sql)
    throw mistake{params->at, "params belong to sql; of statements, each has its own"};
}

step_kind request(std::string_view name, std::string_view about, std::vector<field> fields,
                  std::vector<std::string_view> answers, bool signs = false) {
  step_kind kind;
  kind.name = name;
  kind.about = about;
  kind.fields = std::move(fields);
  kind.answers = std::move(answers);
  kind.by_agent = true;
  kind.signs = signs;
  kind.run = call_method;
  return kind;
}

step_kind make_write() {
  auto kind = request("write", "One statement, or several that are applied as a whole",
                      {db_field,
                       {"sql", text, "The statement, if it is one"},
                       {"params", parameters, "Its parameters, by position or by name"},
                       {"statements", statements, "Several statements: each has sql, params and expect"},
                       {"idempotency_key", text, "The same key and statements are applied once"},
                       {"deadline_ms", whole, "The time limit", false, 1, day_ms},
                       {"foreign_keys", choice, "off: checked before the commit only", false, 0, 0, {"on", "off"}},
                       {"request_id", text, "Its name in the audit"},
                       {"correlation_id", text, "The id of the task that it belongs to"}},
                      {"outcome", "replayed", "commit_seq", "request_id", "results"}, true);
  kind.check = check_write;
  kind.run = call_write;
  return kind;
}

step_kind make_read() {
  return request("read", "One statement that changes nothing",
                 {db_field,
                  {"sql", text, "The statement", true},
                  {"params", parameters, "Its parameters, by position or by name"},
                  {"freshness", choice, "Whether the cache may answer", false, 0, 0, {"cached", "fresh"}},
                  {"min_seq", whole, "The commit that must be included"},
                  {"max_rows", whole, "Rows after which the answer is cut", false, 1, 100'000'000},
                  {"max_bytes", whole, "Bytes after which the answer is cut", false, 1'024, int64_t{2} << 30},
                  {"timeout_ms", whole, "The time limit", false, 1, day_ms},
                  {"request_id", text, "Its name in the audit, and for cancel"},
                  {"correlation_id", text, "The id of the task that it belongs to"}},
                 {"columns", "rows", "truncated", "source", "as_of_seq"}, true);
}

std::vector<step_kind> make_buffer() {
  return {request("buffer.put", "Puts a row into the write-behind buffer",
                  {db_field,
                   table_field,
                   {"operation", choice, "The operation on the row", true, 0, 0, {"upsert", "update", "delete"}},
                   key_field,
                   {"values", columns, "The other columns"},
                   {"wait_ms", whole, "The longest wait for room", false, 0, day_ms}},
                  {"pending", "journaled"}, true),
          request("buffer.get", "The row as it will be when the buffer is flushed", {db_field, table_field, key_field},
                  {"found", "pending", "row"}, true),
          request("flush", "Writes buffered rows now",
                  {{"db", text, "This database only"}, {"table", text, "This table only"}},
                  {"flushed", "set_aside", "kept", "reason"}, true),
          request("buffer.rejected", "The rejected rows", {{"limit", whole, "The maximum number", false, 1}}, {"rows"}),
          request("buffer.requeue", "Puts rejected rows into the buffer again", {}, {"requeued"}),
          request("buffer.discard", "Discards rejected rows", {}, {"discarded"})};
}

std::vector<step_kind> make_log() {
  const std::vector<std::string_view> levels{"trace", "debug", "info", "warning", "error", "critical"};
  return {request("log", "Adds an entry to the log database",
                  {{"level", choice, "The level", true, 0, 0, levels},
                   {"message", text, "The message", true},
                   {"source", text, "The part of the program that logs"}},
                  {"logged"}, true),
          request("logs.recent", "The latest entries of the log database, oldest first",
                  {{"level", choice, "This level and more severe ones", false, 0, 0, levels},
                   {"source", text, "From this source only"},
                   {"agent", text, "By this agent only"},
                   {"contains", text, "With this text in the message"},
                   {"limit", whole, "The maximum number", false, 1, 10'000}},
                  {"entries"})};
}

std::vector<step_kind> make_queries() {
  return {
    request("audit.list", "The records of the audit, in their order",
            {{"agent", text, "Of this agent only"},
             {"db", text, "Of this database only"},
             {"status", text, "With this status only: committed, replayed, ok, or the code of an error"},
             {"after_seq", whole, "After this record"},
             {"limit", whole, "The maximum number", false, 1, 10'000},
             {"newest", boolean, "The last ones instead of the first"}},
            {"store_root", "records"}),
    request("audit.verify", "Checks the hash chains of the audit and the ledgers", {},
            {"intact", "records", "broken", "head", "first_broken", "reason"}),
    request("status", "The counters of the broker", {},
            {"store_root", "leader", "uptime_ms", "restarts", "totals", "retry", "host_retry", "audit", "buffer", "log",
             "slow", "slow_warnings", "cache", "databases", "front_door", "running", "answers", "cursors"}),
    request("cancel", "Cancels a read, or a write that has not begun", {{"request_id", text, "The request's", true}},
            {"cancelled"}),
    request("retry.reset", "Sets the counters of lock errors and retries to zero", {}, {"reset"}),
    request("ping", "Checks that the broker answers", {}, {"pong", "pid", "protocol"})};
}

void start_listening(runner& in, const step& step, json fields, on_answer done) {
  auto name = step.label;
  in.notifications()[name] = json::array();
  in.on().subscribe(step.agent, std::move(fields), std::move(done),
                    [&in, name](const json& x) { in.notifications()[name].push_back(x); });
}

step_kind make_subscribe() {
  auto kind = request("subscribe", "From now on the agent gets a notification per commit; give it a name with as",
                      {db_field,
                       {"tables", texts, "Commits that touch one of these only"},
                       {"from_seq", whole, "Those after this commit, too"}},
                      {"subscription", "db", "as_of_seq"});
  kind.needs_backend = true;
  kind.run = start_listening;
  return kind;
}

void show_invalidations(runner& in, const step&, json fields, on_answer done) {
  auto found = in.notifications().find(fields.at("of").get<std::string>());
  json list = found == in.notifications().end() ? json::array() : found->second;
  auto lost = std::any_of(list.begin(), list.end(), [](const json& x) { return x.contains("reason"); });
  std::erase_if(list.get_ref<json::array_t&>(), [](const json& x) { return x.contains("reason"); });
  done(json{{"invalidations", std::move(list)}, {"lost", lost}});
}

step_kind make_invalidations() {
  step_kind kind;
  kind.name = "invalidations";
  kind.about = "The notifications of a subscription so far; use it in wait";
  kind.fields = {{"of", text, "The name that the answer to subscribe is kept as", true}};
  kind.short_for = "of";
  kind.answers = {"invalidations", "lost"};
  kind.run = show_invalidations;
  return kind;
}

} // namespace

std::vector<step_kind> request_kinds() {
  std::vector<step_kind> result{make_write(), make_read()};
  for (auto make : {make_buffer, make_log, make_queries})
    for (auto& kind : make())
      result.push_back(std::move(kind));
  result.push_back(make_subscribe());
  result.push_back(make_invalidations());
  return result;
}

} // namespace sluice::scenario
