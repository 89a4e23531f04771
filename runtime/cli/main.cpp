#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"

#include <algorithm>
#include <csignal>
#include <span>
#include <string_view>

namespace {

using namespace sluice;
using namespace sluice::cli;

struct command_entry {
  const char* name;
  const char* description;
  void (*declare)(CLI::App&, action&);
};

constexpr command_entry commands[]{
  {"exec", "Write: apply SQL statements, all or none", declare_exec},
  {"query", "Read: run one SELECT", declare_query},
  {"status", "Show how a store stands", declare_status},
  {"audit", "Show, check or export who did what", declare_audit},
  {"bench", "Measure this machine: the broker beside raw SQLite and beside a mutex", declare_bench},
};

// The command line could not be read as far as its options, so they are looked for here.
bool wants_json(std::span<char*> args) {
  return std::any_of(args.begin(), args.end(), [](const char* arg) { return std::string_view{arg} == "--json"; });
}

int run(int argc, char** argv) {
  CLI::App app{"An actor front door to SQLite: ordered group commits, a read cache that is never stale, and an audit.",
               "sluice"};
  app.set_version_flag("--version", "sluice " SLUICE_VERSION);
  app.require_subcommand(1);
  app.footer("Exit status: 0 done; 1 the request failed; 2 wrong usage; 3 no broker where one was required.");
  action chosen;
  for (const auto& x : commands)
    x.declare(*app.add_subcommand(x.name, x.description), chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help, std::cout, std::cerr);
  } catch (const CLI::ParseError& wrong) {
    return usage_error(wrong.what(), wants_json({argv, static_cast<size_t>(argc)}));
  }
  return chosen();
}

} // namespace

int main(int argc, char** argv) {
  // Whoever reads our output may stop early; writing then fails like any other write.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const std::exception& x) {
    failure why;
    why.outcome = outcome::unknown;
    why.message = x.what();
    return fail(why, wants_json({argv, static_cast<size_t>(argc)}));
  }
}
