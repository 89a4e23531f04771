#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/serve.hpp"
#include "runtime/cli/serve_log.hpp"
#include "runtime/cli/terminal_text.hpp"
#include "runtime/json/json.hpp"
#include "runtime/lab/scenario/broker_control.hpp"
#include "runtime/lab/scenario/external_process.hpp"
#include "runtime/lab/scenario/real_backend.hpp"
#include "runtime/lab/scenario/runner.hpp"
#include "runtime/lab/scenario/schema.hpp"
#include "runtime/store/config.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace sluice::cli {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ending = scenario::report::end;

struct scenario_options {
  std::vector<std::string> files;
  double time_limit_s = 60;
  bool json = false;
  bool keep = false;
  bool verbose = false;
  bool check = false;
  bool schema = false;
};

struct tally {
  int passed = 0;
  int failed = 0;
  int skipped = 0;
  int wrong = 0;
  json documents = json::array();
};

std::string_view name_of(ending end) {
  constexpr std::array<std::string_view, 4> words{"passed", "failed", "skipped", "wrong"};
  return words[static_cast<size_t>(end)];
}

// Settings in the shell's environment do not apply to the store of a scenario.
void forget_environment() {
  for (const auto& setting : describe_settings())
    unsetenv(setting.environment.c_str());
  for (const auto* name : {"SLUICE_AGENT", "SLUICE_ENDPOINT", "SLUICE_PROGRAM"})
    unsetenv(name);
}

std::string at_text(const std::string& file, scenario::place at) {
  return at.line == 0 ? file : fmt::format("{}:{}:{}", file, at.line, at.column);
}

json as_document(const std::string& file, const scenario::definition& definition, const scenario::report& went) {
  auto complaints = json::array();
  for (const auto& complaint : went.complaints)
    complaints.push_back({{"line", complaint.at.line}, {"column", complaint.at.column}, {"message", complaint.text}});
  return {{"file", file},
          {"name", definition.name},
          {"status", name_of(went.status)},
          {"took_ms", went.took.count()},
          {"complaints", std::move(complaints)}};
}

std::string as_text(const std::string& file, const scenario::definition& definition, const scenario::report& went) {
  if (went.status == ending::skipped)
    return fmt::format("skipped - {}: {} ({})\n", printable(definition.name), went.complaints.front().text,
                       printable(at_text(file, went.complaints.front().at)));
  auto result = fmt::format("{} - {}\n", went.status == ending::passed ? "ok" : "not ok", printable(definition.name));
  for (const auto& complaint : went.complaints)
    result += fmt::format("  {}: {}\n", printable(at_text(file, complaint.at)), printable(complaint.text));
  return result;
}

caf::expected<fs::path> make_folder() {
  std::error_code unusable;
  auto pattern = (fs::temp_directory_path(unusable) / "sluice-scenario-XXXXXX").string();
  if (unusable || !mkdtemp(pattern.data()))
    return make_error(errc::io_error, "no temporary folder can be made; set TMPDIR to one where that is possible");
  return fs::path{pattern};
}

scenario::report run_in(const fs::path& folder, const scenario::definition& definition,
                        const scenario_options& wanted) {
  std::error_code unreadable;
  auto on = scenario::make_real_backend({fs::read_symlink("/proc/self/exe", unreadable), folder});
  scenario::run_options options;
  options.time_limit = std::chrono::milliseconds{static_cast<int64_t>(wanted.time_limit_s * 1e3)};
  if (wanted.verbose)
    options.on_step = [](const scenario::step& step, const json& answer) {
      fmt::print(stderr, "  line {}: {}: {}\n", step.at.line, scenario::title_of(step), printable(dump(answer)));
    };
  return scenario::run(definition, *on, options);
}

// Returns false when its folder could not be created.
bool run_file(const std::string& file, const scenario::definition& definition, const scenario_options& options,
              tally& to) {
  auto folder = make_folder();
  if (!folder) {
    fail(folder.error(), false);
    return false;
  }
  auto went = run_in(*folder, definition, options);
  auto document = as_document(file, definition, went);
  auto text = as_text(file, definition, went);
  if (options.keep) {
    document["folder"] = folder->string();
    text += fmt::format("  kept in {}\n", folder->string());
  } else {
    std::error_code ignored;
    fs::remove_all(*folder, ignored);
  }
  auto& count = went.status == ending::passed    ? to.passed
                : went.status == ending::failed  ? to.failed
                : went.status == ending::skipped ? to.skipped
                                                 : to.wrong;
  ++count;
  to.documents.push_back(std::move(document));
  if (!options.json)
    print(text);
  return true;
}

void report_invalid(const std::string& file, const scenario::wrong_file& error, tally& to) {
  ++to.wrong;
  fmt::print(stderr, "sluice: invalid_request: {}: {}\n", at_text(printable(file), error.at), printable(error.text));
  to.documents.push_back(
    {{"file", file},
     {"status", "wrong"},
     {"complaints", {{{"line", error.at.line}, {"column", error.at.column}, {"message", error.text}}}}});
}

std::string summary_of(const tally& tally) {
  auto result = fmt::format("{} passed, {} failed", tally.passed, tally.failed);
  if (tally.skipped > 0)
    result += fmt::format(", {} skipped", tally.skipped);
  if (tally.wrong > 0)
    result += fmt::format(", {} invalid", tally.wrong);
  return result;
}

int run(const scenario_options& options) {
  if (options.schema)
    return finish(scenario::schema().dump(2) + "\n");
  if (options.files.empty())
    return usage_error("which scenarios? Name their files; see sluice scenario --help", options.json);
  forget_environment();
  tally all;
  auto show_progress = isatty(STDERR_FILENO) != 0 && !options.verbose;
  for (size_t i = 0; i < options.files.size(); ++i) {
    auto read = scenario::read_scenario(options.files[i]);
    if (const auto* error = std::get_if<scenario::wrong_file>(&read)) {
      report_invalid(options.files[i], *error, all);
      continue;
    }
    const auto& definition = std::get<scenario::definition>(read);
    if (options.check) {
      ++all.passed;
      continue;
    }
    if (show_progress)
      fmt::print(stderr, "\rrunning {} of {} ...", i + 1, options.files.size());
    auto done = run_file(options.files[i], definition, options, all);
    if (show_progress)
      fmt::print(stderr, "\r{:40}\r", "");
    if (!done)
      return failed;
  }
  auto delivered = options.json ? finish_json({{"scenarios", std::move(all.documents)},
                                               {"passed", all.passed},
                                               {"failed", all.failed},
                                               {"skipped", all.skipped},
                                               {"wrong", all.wrong}})
                                : finish(options.check ? "" : summary_of(all) + "\n");
  if (all.wrong > 0)
    return wrong_usage;
  return all.failed > 0 ? failed : delivered;
}

} // namespace

void declare_scenario(CLI::App& command, action& chosen) {
  auto options = std::make_shared<scenario_options>();
  command.add_option("FILE", options->files, "Scenarios (docs/guides/scenarios.md); each runs in a folder of its own");
  command.add_flag("--check", options->check, "Read the files only");
  command.add_flag("--json", options->json, "Print one JSON document");
  command.add_flag("--keep", options->keep, "Leave the folders, and print their paths");
  command.add_flag("-v,--verbose", options->verbose, "Print the answer of each step on stderr");
  command.add_option("--time-limit", options->time_limit_s, "Seconds after which a running scenario has failed [60]")
    ->type_name("SECONDS")
    ->check(CLI::Range(0.1, 86'400.0));
  command.add_flag("--schema", options->schema, "Print the JSON Schema of the format, for editors");
  command.footer("Exit status: 0 all passed or were skipped; 1 one failed; 2 a file is invalid, or wrong usage.");
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

void declare_scenario_broker(CLI::App& command, action& chosen) {
  auto controller = std::make_shared<std::string>();
  auto control = std::make_shared<std::optional<scenario::broker_control>>();
  command.add_option("--controller", *controller)->required();
  serve_hooks hooks;
  hooks.begins = [control] { control->emplace(); };
  hooks.leads = [control, controller](broker& leader) {
    if (auto good = (*control)->begin(*controller, leader); !good)
      log_warning(describe(good.error()).message);
  };
  hooks.stops = [control] { (*control)->end(); };
  declare_serve(*command.add_subcommand("serve"), chosen, std::move(hooks));
  command.require_subcommand(1);
}

void declare_scenario_external_process(CLI::App& command, action& chosen) {
  auto root = std::make_shared<std::string>();
  command.add_option("ROOT", *root)->required();
  command.final_callback([root, &chosen] {
    chosen = [root] {
      scenario::run_external_process(*root);
      return done;
    };
  });
}

} // namespace sluice::cli
