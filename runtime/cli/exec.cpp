#include "actors/base/sql_tokens.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/remarks.hpp"
#include "runtime/cli/request_options.hpp"
#include "runtime/cli/rowset_text.hpp"
#include "runtime/cli/write_text.hpp"
#include "runtime/json/json.hpp"
#include "runtime/sqlite/core/split_statements.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <initializer_list>
#include <optional>

namespace sluice::cli {

namespace {

struct exec_options : request_options {
  std::optional<std::string> key;
  // The generated key of a write that the launcher has sent; only the launcher passes it.
  std::string sent_key;
  int64_t deadline_ms = 0;
  std::string foreign_keys = "on";
};

std::string as_text(const write_result& written) {
  std::string result;
  write_summary summary{0, written.commit_seq, written.replayed};
  for (const auto& each : written.results) {
    if (!each.rows.columns().empty())
      result += as_table(each.rows);
    summary.changes += each.changes;
  }
  return result + summary_line(summary);
}

// Scripts have BEGIN and COMMIT around them; a request is one transaction in any case.
std::vector<std::string_view> without_transaction(std::vector<std::string_view> statements) {
  // Whether `sql` contains only these keywords. A statement with anything else is sent, and SQLite reports the error.
  auto consists_of = [](std::string_view sql, std::initializer_list<std::string_view> first,
                        std::initializer_list<std::string_view> others) {
    auto is_one_of = [](const sql_token& token, std::initializer_list<std::string_view> words) {
      return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return token.is(word); });
    };
    if (!is_one_of(take_token(sql), first))
      return false;
    for (auto token = take_token(sql); token.kind != sql_token_kind::end && !token.is(';'); token = take_token(sql))
      if (!is_one_of(token, others))
        return false;
    return true;
  };
  auto begins = [&](std::string_view sql) {
    return consists_of(sql, {"BEGIN"}, {"DEFERRED", "IMMEDIATE", "EXCLUSIVE", "TRANSACTION"});
  };
  auto commits = [&](std::string_view sql) { return consists_of(sql, {"COMMIT", "END"}, {"TRANSACTION"}); };
  if (statements.size() < 2 || !begins(statements.front()) || !commits(statements.back()))
    return statements;
  return {statements.begin() + 1, statements.end() - 1};
}

caf::expected<write_request> as_request(const exec_options& options, const std::string& db) {
  if (options.key && options.key->empty())
    return make_error(errc::invalid_request, "--key: an idempotency key must not be empty; leave it out");
  auto sql = read_sql(options);
  if (!sql)
    return std::move(sql.error());
  auto params = read_parameters(options);
  if (!params)
    return std::move(params.error());
  auto statements = without_transaction(sqlite::split_statements(*sql));
  if (statements.empty())
    return make_error(errc::invalid_request, "the SQL holds no statement");
  if (statements.size() > 1 && (!options.params.empty() || options.params_json))
    return make_error(errc::invalid_request, "-p and --params need a single statement; SQL holds several");
  write_request request;
  request.db = db;
  request.agent = agent_name(options.agent);
  request.idempotency_key = options.key.value_or(options.sent_key);
  request.deadline = time_left(options, options.deadline_ms);
  if (auto capsule = capsule_of(options); !capsule.empty())
    request.grant = std::make_shared<const request_grant>(request_grant{std::move(capsule), {}, {}, 0});
  request.enforce_foreign_keys = options.foreign_keys == "on";
  for (auto each : statements)
    request.statements.push_back({each, *params});
  return request;
}

// The write was refused before it was sent again.
caf::error with_unknown_outcome(const caf::error& error) {
  auto reason = describe(error);
  reason.outcome = outcome::unknown;
  return make_error(std::move(reason));
}

int fail_of_write(const caf::error& error, const exec_options& options) {
  auto reason = describe(error);
  auto status = fail(reason, options.json);
  if (reason.outcome == outcome::unknown)
    note(remark_on_unknown_write(options.key.has_value()));
  return status;
}

int run(const exec_options& options) {
  auto place = locate(options.db);
  if (!place)
    return usage_error(describe(place.error()).message, options.json);
  auto request = as_request(options, place->name);
  if (!request)
    return usage_error(describe(request.error()).message, options.json);
  auto store = open_store(options, place->root);
  if (!store)
    return fail_of_write(options.was_sent() ? with_unknown_outcome(store.error()) : store.error(), options);
  auto result = (*store)->write(std::move(*request));
  if (!result)
    return fail_of_write(result.error(), options);
  return options.json ? finish_json(as_json(*result, wanted_integers(options))) : finish(as_text(*result));
}

} // namespace

void declare_exec(CLI::App& command, action& chosen) {
  auto options = std::make_shared<exec_options>();
  declare(command, *options);
  declare_capsule_of(command, *options);
  command.add_option("--key", options->key, "Idempotency key: the same request under the same key is applied once");
  command.add_option("--sent-key", options->sent_key)->group("");
  command.add_option("--deadline", options->deadline_ms, "Milliseconds within which the write must be done [30000]")
    ->type_name("MS")
    ->check(CLI::Range(int64_t{1}, int64_t{86'400'000}));
  command
    .add_option("--foreign-keys", options->foreign_keys,
                "off: execute without foreign keys and their ON DELETE actions, and check them before the commit")
    ->type_name("on|off")
    ->check(CLI::IsMember({"on", "off"}));
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
