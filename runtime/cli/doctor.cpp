#include "runtime/cli/commands.hpp"
#include "runtime/cli/live_broker.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/terminal_text.hpp"
#include "runtime/doctor/examination.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sluice::cli {

namespace {

struct doctor_options {
  std::string root = ".";
  bool deep = false;
  bool json = false;
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
  for (const auto& x : all) {
    result += fmt::format("{:<8} {:<16} {}\n", to_string(x.severity), x.check, printable(x.subject + ": " + x.text));
    if (!x.advice.empty())
      result += fmt::format("{:>25} {}\n", "->", printable(x.advice));
    worse += x.severity > doctor::severity::note ? 1 : 0;
  }
  if (worse == 0)
    return result + "\nhealthy\n";
  return result + fmt::format("\n{} of {} findings want something to be done\n", worse, all.size());
}

int run(const doctor_options& options) {
  doctor::examination_options how;
  how.deep = options.deep;
  how.ask_leader = [&options] { return ask(options.root); };
  auto found = doctor::examine(options.root, how);
  if (!found)
    return fail(found.error(), options.json);
  auto printed = options.json ? finish_json(doctor::as_json(*found)) : finish(as_text(*found));
  return printed == done && !doctor::is_healthy(*found) ? failed : printed;
}

} // namespace

void declare_doctor(CLI::App& command, action& chosen) {
  auto options = std::make_shared<doctor_options>();
  command.add_option("ROOT", options->root, "Folder of the store [.]");
  command.add_flag("--deep", options->deep, "Compare indexes with their tables, too, and take the time it needs");
  command.add_flag("--json", options->json, "Print one JSON document, on failure too");
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
