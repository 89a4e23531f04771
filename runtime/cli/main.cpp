#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/request_options.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace {

using namespace sluice;
using namespace sluice::cli;

struct command_entry {
  const char* name;
  const char* description;
  void (*declare)(CLI::App&, action&);
};

// Listed among the commands; `arguments` turns it into `--help` before the command line is parsed.
void declare_help(CLI::App&, action&) {}

constexpr command_entry commands[]{
  {"exec", "Write: apply SQL statements, all or none", declare_exec},
  {"query", "Read: run one SELECT", declare_query},
  {"call", "Call an operation of the catalogue", declare_call},
  {"migrate", "Apply the numbered .sql files of a folder to a database, once each", declare_migrate},
  {"ops", "List and check the operations of a store, or print typed functions for them", declare_ops},
  {"capsule", "Issue, show, verify or revoke a capsule: a signed grant that expires", declare_capsule},
  {"proof", "Write a proof of commits, or check one without its store", declare_proof},
  {"promote", "Check a proof against the store, and record that it was accepted", declare_promote},
  {"status", "Show the state of a store and its broker", declare_status},
  {"audit", "Show, check or export the audit", declare_audit},
  {"logs", "Show the log, or follow it", declare_logs},
  {"cancel", "Cancel a waiting or running request", declare_cancel},
  {"flush", "Write the rows in the write-behind buffer now", declare_flush},
  {"buffer", "Put rows into the write-behind buffer; list and requeue rejected rows", declare_buffer},
  {"serve", "Run a permanent broker, or speak JSON-RPC and MCP on stdio", declare_serve},
  {"stop", "Stop the running broker when its requests are answered", declare_stop},
  {"top", "Watch a running broker", declare_top},
  {"doctor", "Examine a store: findings with their remedies", declare_doctor},
  {"validate", "Find sources and processes that open SQLite without the broker", declare_validate},
  {"scenario", "Run scenarios of agents, faults and expectations", declare_scenario},
  {"bench", "Benchmark this machine: the broker compared with direct use of SQLite", declare_bench},
  {"help", "Show the help of a command", declare_help},
  // Internal commands that `bench` and `scenario` start. An empty description hides them from --help.
  {"bench-worker", "", declare_bench_worker},
  {"bench-server", "", declare_bench_server},
  {"scenario-broker", "", declare_scenario_broker},
  {"scenario-external-process", "", declare_scenario_external_process},
};

bool is_command(std::string_view name) {
  return std::any_of(std::begin(commands), std::end(commands), [&](const auto& x) { return x.name == name; });
}

// Turns `help COMMAND...` into `COMMAND... --help`.
std::vector<std::string> arguments(std::span<char*> args) {
  std::vector<std::string> result(args.begin(), args.end());
  if (!result.empty() && result.front() == "help") {
    result.erase(result.begin());
    result.emplace_back("--help");
  }
  return result;
}

// Whether the command uses the variables of a client: not `serve`, and none of the internal commands.
bool is_client(const CLI::App& app) {
  const auto& name = app.get_subcommands().front()->get_name();
  return name != "serve" && !app.get_subcommands().front()->get_description().empty();
}

// The recognized part of the command line, as "sluice audit list".
std::string understood_command(const CLI::App& app) {
  std::string result = app.get_name();
  for (const auto* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    result += " " + at->get_name();
  }
  return result;
}

// Parsing failed before the options, so look for the flag itself.
bool wants_json(std::span<char*> args) {
  return std::any_of(args.begin(), args.end(), [](const char* arg) { return std::string_view{arg} == "--json"; });
}

// If a descriptor is closed, the next opened file would get its number and receive terminal output. Output to a closed
// stdout still fails.
void open_standard_descriptors() {
  for (auto fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR) < 0)
      std::abort();
}

int run_command(int argc, char** argv) {
  CLI::App app{"A broker for SQLite: ordered group commits, a read cache that every commit invalidates, and an audit.",
               "sluice"};
  app.set_version_flag("--version", "sluice " SLUICE_VERSION);
  app.require_subcommand(1);
  app.footer("Exit status: 0 done; 1 the request failed; 2 wrong usage; 3 no broker where one was required; "
             "4 the output is incomplete, because a bound cut it.");
  action chosen;
  for (const auto& command : commands)
    command.declare(
      *app.add_subcommand(command.name, command.description)->group(*command.description ? "Subcommands" : ""), chosen);
  const std::span given{argv + 1, argv + std::max(argc, 1)};
  auto args = arguments(given);
  if (!args.empty() && !args.front().starts_with('-') && !is_command(args.front()))
    return usage_error("there is no command '" + args.front() + "'; sluice --help lists them", wants_json(given));
  // The parser takes the arguments from the end.
  std::reverse(args.begin(), args.end());
  try {
    app.parse(std::move(args));
  } catch (const CLI::Success& help) {
    std::ostringstream text;
    app.exit(help, text, std::cerr);
    return finish(text.str());
  } catch (const CLI::ParseError& wrong) {
    return usage_error(fmt::format("{}; see {} --help", wrong.what(), understood_command(app)), wants_json(given));
  }
  // A broker asks for itself, and a client that starts one has an environment of its own.
  if (auto mistake = is_client(app) ? mistake_in_environment() : std::nullopt)
    return usage_error(*mistake, wants_json(given));
  return chosen();
}

} // namespace

int main(int argc, char** argv) {
  open_standard_descriptors();
  // The reader of the output may stop early, and files may have a size limit; writing then returns an error instead of
  // ending the process.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return run_command(argc, argv);
  } catch (const std::exception& exception) {
    auto error = make_failure(errc::internal, exception.what(), {.outcome = outcome::unknown});
    return fail(error, wants_json({argv, static_cast<size_t>(argc)}));
  }
}
