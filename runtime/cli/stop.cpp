#include "runtime/cli/commands.hpp"
#include "runtime/cli/existing_store.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/request_options.hpp"
#include "runtime/client/takeover.hpp"

namespace sluice::cli {

namespace {

// Before it ends, a broker answers its requests and closes its databases.
constexpr std::chrono::seconds time_to_stop{30};

int run(const std::filesystem::path& where) {
  if (is_missing(where / ".sluice"))
    return finish("no broker is running\n");
  auto root = store_root::open(where);
  if (!root)
    return fail(root.error(), false);
  auto stopped = stop_leader(*root, time_to_stop, named_agent());
  if (!stopped)
    return fail(stopped.error(), false);
  return finish(*stopped ? "stopped\n" : "no broker is running\n");
}

} // namespace

void declare_stop(CLI::App& command, action& chosen) {
  auto root = std::make_shared<std::string>(".");
  command.add_option("ROOT", *root, "Folder of the store [.]");
  command.final_callback([root, &chosen] { chosen = [root] { return run(*root); }; });
}

} // namespace sluice::cli
