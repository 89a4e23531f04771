#include "actors/base/counted.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/terminal_text.hpp"
#include "runtime/validate/validation.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sluice::cli {

namespace {

struct validate_options {
  std::string path = ".";
  std::string exceptions;
  std::string store;
  bool json = false;
};

std::string findings_text(const validate::validation& found) {
  std::string result;
  for (const auto& [file, of, call] : found.sources)
    result += printable(fmt::format("{}:{}:{}: opens SQLite: {} ({}, {})", file, call.line, call.column, call.text,
                                    to_string(of), call.rule))
              + "\n";
  for (const auto& opener : found.processes)
    result += printable(fmt::format("process {} ({}) has {} open{}", opener.pid, opener.command, opener.db,
                                    opener.writes ? " for writing" : ""))
              + "\n";
  for (const auto& one : found.stale)
    result += printable(fmt::format("exception in line {}: {} matches nothing that opens SQLite; remove it", one.line,
                                    one.pattern))
              + "\n";
  return result;
}

std::string summary_text(const validate::validation& found) {
  auto result = fmt::format("{} in {}", counted(found.findings(), "finding"), counted(found.tree.sources, "source"));
  if (found.has_store)
    result += " and the running processes";
  if (found.excepted > 0)
    result += fmt::format(", {} by the exceptions", counted(found.excepted, "place is allowed", "places are allowed"));
  return result + "\n";
}

// What was not looked at goes to stderr, so that a reader of findings need not leave it out.
void note_gaps(const validate::validation& found) {
  for (const auto& [path, reason] : found.tree.unread)
    note(printable(fmt::format("not read: {}: {}", path, reason)));
  if (found.hidden_processes > 0)
    note(fmt::format("not looked at: {} of other users; run it as root to see their open files, too",
                     counted(found.hidden_processes, "process", "processes")));
  if (found.tree.links > 0)
    note(counted(found.tree.links, "symbolic link was not followed", "symbolic links were not followed"));
}

int run(const validate_options& options) {
  auto found =
    validate::validate_tree({.path = options.path, .exceptions = options.exceptions, .store = options.store});
  if (!found)
    return usage_error(describe(found.error()).message, options.json);
  if (!options.json)
    note_gaps(*found);
  auto printed =
    options.json ? finish_json(validate::as_json(*found)) : finish(findings_text(*found) + summary_text(*found));
  if (printed != done)
    return printed;
  return found->findings() > 0 ? failed : found->is_whole() ? done : incomplete;
}

} // namespace

void declare_validate(CLI::App& command, action& chosen) {
  auto options = std::make_shared<validate_options>();
  command.add_option("PATH", options->path, "Folder of sources, or one source [.]");
  command
    .add_option("--exceptions", options->exceptions, "File of exceptions, each with a reason [PATH/.sluice-validate]")
    ->type_name("FILE");
  command
    .add_option("--store", options->store,
                "Root of the store whose databases are looked for in running processes "
                "[PATH, if it is one]")
    ->type_name("ROOT");
  command.add_flag("--json", options->json, "Print one JSON document, on failure too");
  command.footer("Finds known calls by their names in C, C++, Rust, Go, Python, JavaScript, TypeScript and shell. It "
                 "cannot find calls whose names are computed, imported from another file of yours, or in other "
                 "languages.\n"
                 "Exit status: 0 nothing found; 1 found, or an exception that nothing needs; 2 wrong usage; 4 nothing "
                 "found, but something could not be looked at.");
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
