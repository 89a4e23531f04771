#include "actors/base/counted.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/live_broker.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/terminal_text.hpp"
#include "runtime/client/takeover.hpp"
#include "runtime/doctor/examination.hpp"
#include "runtime/doctor/repair.hpp"
#include "runtime/os/machine_clock.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sluice::cli {

namespace {

// A transient broker answers its requests before it ends.
constexpr std::chrono::seconds handover{10};

struct doctor_options {
  std::string root = ".";
  bool deep = false;
  bool json = false;
  bool repair = false;
};

caf::expected<nlohmann::json> ask(const std::string& root) {
  auto leader = connect_to_broker(root);
  if (!leader)
    return std::move(leader.error());
  return (*leader)->status();
}

std::string as_text(const doctor::findings& all) {
  std::string result;
  size_t worse = 0;
  for (const auto& finding : all) {
    result += fmt::format("{:<8} {:<16} {}\n", to_string(finding.severity), finding.check,
                          printable(finding.subject + ": " + finding.text));
    if (!finding.advice.empty())
      result += fmt::format("{:>25} {}\n", "->", printable(finding.advice));
    worse += finding.severity > doctor::severity::note ? 1 : 0;
  }
  if (worse == 0)
    return result + "\nhealthy\n";
  return result + fmt::format("\n{} of {} need action\n", worse, counted(all.size(), "finding"));
}

std::string as_text(const doctor::repair_actions& all) {
  std::string result;
  for (const auto& finding : all)
    result += fmt::format("{:<8} {}\n", finding.failed ? "FAILED" : "repaired",
                          printable(finding.subject + ": " + finding.text));
  return (all.empty() ? "nothing to repair\n" : result) + "\n";
}

// If a process leads the store, a transient broker hands over; a permanent one must be stopped first.
caf::expected<doctor::repair_actions> repair(const std::string& where) {
  std::error_code unreadable;
  if (!std::filesystem::exists(std::filesystem::path{where} / ".sluice", unreadable))
    return make_error(errc::unknown_database, "this folder holds no store: no database in it was used through sluice");
  auto root = store_root::open(where);
  if (!root)
    return std::move(root.error());
  auto lock = take_over(*root, handover);
  if (!lock && code_of(lock.error()) == errc::busy)
    return make_error(errc::busy, "a repair has to lead the store itself, and a broker does; stop it first "
                                  "(sluice stop ROOT), then repair");
  if (!lock)
    return std::move(lock.error());
  return doctor::repair_store(*root, machine_time());
}

int run(const doctor_options& options) {
  doctor::examination_options settings;
  doctor::repair_actions repaired;
  if (options.repair) {
    auto done = repair(options.root);
    if (!done)
      return fail(done.error(), options.json);
    repaired = std::move(*done);
  }
  settings.deep = options.deep;
  settings.ask_leader = [&options] { return ask(options.root); };
  auto found = doctor::examine(options.root, settings);
  if (!found)
    return fail(found.error(), options.json);
  auto document = options.json ? doctor::as_json(*found) : nlohmann::json{};
  if (options.json && options.repair)
    document["repairs"] = doctor::as_json(repaired);
  auto printed =
    options.json ? finish_json(document) : finish((options.repair ? as_text(repaired) : "") + as_text(*found));
  return printed == done && !doctor::is_healthy(*found) ? failed : printed;
}

} // namespace

void declare_doctor(CLI::App& command, action& chosen) {
  auto options = std::make_shared<doctor_options>();
  command.add_option("ROOT", options->root, "Folder of the store [.]");
  command.add_flag("--deep", options->deep, "Compare indexes with their tables, too, without a time limit");
  command.add_flag("--repair", options->repair,
                   "Repair damaged ledgers and audit files first; takes the lead from a transient broker");
  command.add_flag("--json", options->json, "Print one JSON document, on failure too");
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
