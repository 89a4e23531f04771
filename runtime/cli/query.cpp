#include "actors/base/counted.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/existing_store.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/remarks.hpp"
#include "runtime/cli/request_options.hpp"
#include "runtime/cli/row_stream.hpp"
#include "runtime/cli/rowset_text.hpp"
#include "runtime/json/json.hpp"

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

namespace sluice::cli {

namespace {

// The maximum for --max-rows. A cursor ends before that.
constexpr uint64_t allowed_rows = 100'000'000;
constexpr uint64_t allowed_bytes = uint64_t{2} << 30;
constexpr std::chrono::hours allowed_time{24};

struct query_options : request_options {
  bool fresh = false;
  uint64_t min_seq = 0;
  uint64_t max_rows = 0;
  uint64_t max_bytes = 0;
  int64_t timeout_ms = 0;
  bool all = false;
  bool csv = false;
};

caf::expected<read_request> as_request(const query_options& options, const std::string& db) {
  auto sql = read_sql(options);
  if (!sql)
    return std::move(sql.error());
  auto params = read_parameters(options);
  if (!params)
    return std::move(params.error());
  read_request request;
  request.db = db;
  request.agent = agent_name(options.agent);
  request.query = {std::move(*sql), std::move(*params)};
  request.freshness = options.fresh ? freshness::fresh : freshness::cached;
  request.min_seq = options.min_seq;
  request.limits.max_rows = options.max_rows;
  request.limits.max_bytes = options.max_bytes;
  request.limits.timeout = time_left(options, options.timeout_ms);
  if (options.all)
    // A user may look at a page in a pager for as long as the cursor lives.
    request.limits.timeout = request.limits.idle = allowed_time;
  return request;
}

int show(const read_result& result, const query_options& options) {
  auto status = options.json
                  ? finish_json(as_json(result, wanted_integers(options)))
                  : finish(options.csv ? as_csv(*result.rows, is_read_by_terminal()) : as_table(*result.rows));
  if (!result.truncated)
    return status;
  return finish_cut(status, remark_on_cut_rows(result.rows->size()));
}

int fail_of_read(const caf::error& error, const query_options& options) {
  auto reason = describe(error);
  auto status = fail(reason, options.json);
  if (reason.code == errc::deadline_exceeded && options.timeout_ms == 0)
    note(remark_on_late_read);
  return status;
}

// Memory for answers may be free again a moment later.
caf::expected<cursor_page> fetch_page(cursor& from) {
  constexpr std::chrono::seconds time_limit{30};
  auto give_up = std::chrono::steady_clock::now() + time_limit;
  for (;;) {
    auto page = from.next();
    if (page || code_of(page.error()) != errc::overloaded || std::chrono::steady_clock::now() >= give_up)
      return page;
    std::this_thread::sleep_for(std::chrono::milliseconds{describe(page.error()).retry_after_ms});
  }
}

// The printed rows remain: the exit status and a message say that they are incomplete.
int fail_after(const row_stream& printed, const caf::error& error, const query_options& options) {
  auto reason = describe(error);
  if (!printed.has_begun())
    return fail(reason, options.json);
  reason.message += "; the output is incomplete and ends after " + counted(printed.rows(), "row");
  return fail(reason, false);
}

int show_all(client& store, read_request request, const query_options& options) {
  auto format = options.json ? row_format::json : options.csv ? row_format::csv : row_format::table;
  row_stream to{format, wanted_integers(options)};
  auto from = store.open_cursor(std::move(request));
  if (!from)
    return fail(from.error(), options.json);
  for (;;) {
    auto page = fetch_page(**from);
    if (!page)
      return fail_after(to, page.error(), options);
    auto delivered = to.print(*page);
    if (page->is_last || delivered != delivery::complete)
      return status_of(delivered);
  }
}

int run(const query_options& options) {
  auto place = locate(options.db);
  if (!place)
    return usage_error(describe(place.error()).message, options.json);
  auto request = as_request(options, place->name);
  if (!request)
    return usage_error(describe(request.error()).message, options.json);
  // Starting a broker only to report the error would leave its folder behind.
  auto elsewhere = !options.endpoint.empty() || std::getenv("SLUICE_ENDPOINT") != nullptr;
  if (!elsewhere && is_missing(place->root / ".sluice") && is_missing(options.db))
    return fail(make_error(errc::unknown_database, "there is no such file, and no store in its folder"), options.json);
  auto store = open_store(options, place->root);
  if (!store)
    return fail(store.error(), options.json);
  if (options.all)
    return show_all(**store, std::move(*request), options);
  // The launcher has sent it, and waited for all of its time: once more, it would be late again, and on record twice.
  if (options.timeout_ms > 0 && options.sent_ms >= options.timeout_ms && !options.sent_in_silence)
    return fail_of_read(
      make_error(errc::deadline_exceeded, "the broker did not answer within the time-out of the read"), options);
  auto result = (*store)->read(std::move(*request));
  return result ? show(*result, options) : fail_of_read(result.error(), options);
}

} // namespace

void declare_query(CLI::App& command, action& chosen) {
  auto options = std::make_shared<query_options>();
  declare(command, *options);
  auto* fresh = command.add_flag("--fresh", options->fresh, "Ask the database itself, not the cache");
  command.add_option("--min-seq", options->min_seq, "Answer at least as new as this commit")
    ->type_name("N")
    ->excludes(fresh);
  auto* all =
    command.add_flag("--all", options->all, "Every row of one snapshot, printed as they come, in bounded memory");
  command
    .add_option("--max-rows", options->max_rows, "At most this many rows [10000]; more are cut off (exit status 4)")
    ->type_name("N")
    ->check(CLI::Range(uint64_t{1}, allowed_rows))
    ->excludes(all);
  command.add_option("--max-bytes", options->max_bytes, "At most this many bytes of rows [8388608], likewise")
    ->type_name("N")
    ->check(CLI::Range(uint64_t{1} << 10, allowed_bytes))
    ->excludes(all);
  command.add_option("--timeout", options->timeout_ms, "Milliseconds that the read may take [5000]")
    ->type_name("MS")
    ->check(CLI::Range(int64_t{1}, int64_t{86'400'000}))
    ->excludes(all);
  auto* json = command.get_option("--json");
  command.add_flag("--csv", options->csv, "Print CSV (RFC 4180)")->excludes(json);
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
