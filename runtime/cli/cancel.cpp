#include "runtime/cli/commands.hpp"
#include "runtime/cli/live_broker.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/request_options.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sluice::cli {

namespace {

struct cancel_options {
  // The folder is the first argument and may be left out.
  std::vector<std::string> names;
  bool json = false;
};

int run(const cancel_options& options) {
  const auto& request_id = options.names.back();
  auto store = connect_to_broker(options.names.size() > 1 ? options.names.front() : ".");
  if (!store)
    return fail(store.error(), options.json);
  auto answer =
    (*store)->call("cancel", {{"request_id", request_id}, {"agent", agent_name({})}, {"as_operator", true}});
  if (!answer)
    return fail(answer.error(), options.json);
  auto cancelled = answer->value("cancelled", false);
  auto status = options.json ? finish_json(*answer) : finish(cancelled ? "cancelled\n" : "");
  if (cancelled)
    return status;
  if (!options.json)
    note(fmt::format("no request '{}' waits or runs; sluice status shows those that do", request_id));
  return failed;
}

} // namespace

void declare_cancel(CLI::App& command, action& chosen) {
  auto options = std::make_shared<cancel_options>();
  command.add_option("[ROOT] REQUEST_ID", options->names, "")
    ->required()
    ->expected(1, 2)
    ->option_text("Folder of the store [.], and the id of the request, as sluice status shows it");
  command.add_flag("--json", options->json, "Print one JSON document, on failure too");
  command.footer("Exit status: 0 it was cancelled; 1 there is no such request, or it cannot be cancelled; 2 wrong "
                 "usage; 3 no broker.");
  command.final_callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

} // namespace sluice::cli
