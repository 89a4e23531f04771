#include "runtime/client/client.hpp"
#include "runtime/client/election.hpp"
#include "runtime/client/local_client.hpp"
#include "runtime/client/read_only_client.hpp"
#include "runtime/client/remote_client.hpp"

#include <algorithm>
#include <cstdlib>
#include <unistd.h>

namespace sluice {

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// The files of the broker are not a store.
bool lies_in_broker_folder(const fs::path& root) {
  std::error_code unreadable;
  auto path = fs::weakly_canonical(root, unreadable);
  return std::find(path.begin(), path.end(), ".sluice") != path.end();
}

caf::error route_required(const std::string& error) {
  return make_error(errc::route_required, error.empty()
                                            ? "this needs a broker, and none is running; `sluice serve` starts one"
                                            : "this needs a broker, and there is none: " + error);
}

// Leads in this process: under the lock that the search for a leader returned, or else at once if the lock is free.
caf::expected<std::unique_ptr<client>> lead(broker_config config, const store_root& root, bool allowed,
                                            const std::function<void(std::string_view)>& warn, discovery_result found) {
  if (!allowed)
    return route_required(found.reason);
  if (!found.lock) {
    auto lock = store_lock::acquire(root, milliseconds{0});
    if (!lock)
      return std::move(lock.error());
    found.lock = std::move(*lock);
  }
  if (!found.reason.empty() && warn)
    warn("this process leads the store itself, as there is no broker: " + found.reason);
  auto leader = broker::open(std::move(config), root, std::move(*found.lock));
  if (!leader)
    return std::move(leader.error());
  return make_local_client(std::move(*leader));
}

// The leader applies the time of the database, whose name may be another spelling.
milliseconds longest(const broker_config& config, milliseconds database_config::*time) {
  auto result = config.*time;
  for (const auto& [db, settings] : config.databases)
    result = std::max(result, settings.*time);
  return result;
}

remote_settings settings_of(const broker_config& config, const client_options& options) {
  remote_settings settings;
  settings.add_keys = options.add_keys;
  settings.continues_write = options.continues_write;
  settings.write_deadline = longest(config, &database_config::write_deadline);
  settings.read_timeout = longest(config, &database_config::read_timeout);
  settings.silence.after = std::max(options.silence_after, milliseconds{2});
  settings.silence.ends_calls = options.fail_on_silence;
  if (!options.fail_on_silence)
    settings.silence.warn = options.warn;
  return settings;
}

// Whether the store cannot be led because its folder is read-only.
bool is_read_only(const caf::error& error, const fs::path& root) {
  auto code = code_of(error);
  return code == errc::read_only || (code == errc::not_authorized && access(root.c_str(), W_OK) != 0);
}

// A client that only reads, without a broker and its files.
caf::expected<std::unique_ptr<client>> read_only(const fs::path& root, const broker_config& config,
                                                 const client_options& options, const caf::error& error) {
  if (!is_read_only(error, root))
    return error;
  if (options.require_broker)
    return route_required(describe(error).message);
  auto store = store_root::look_up(root);
  if (!store)
    return std::move(store.error());
  return make_read_only_client(*store, config, options.warn);
}

// The client of the endpoint; null when no broker answers there and the store may be reached in another way.
caf::expected<std::unique_ptr<client>> open_endpoint(const fs::path& endpoint, const store_root& root,
                                                     const broker_config& config, const client_options& options) {
  election_options search;
  search.root = root;
  search.endpoint = endpoint;
  // One try: the time limit has already passed.
  auto found = find_leader(search, steady_clock::now());
  if (found) {
    // Requests that were sent to it may have been executed, and only it knows; so no other broker is used from now on.
    auto lead_no_store = [](discovery_result) { return route_required("the endpoint does not answer"); };
    return make_remote_client(std::move(search), std::move(found->connection), lead_no_store,
                              settings_of(config, options));
  }
  // A process is there that is not the broker of this store, or does not answer: stop the search.
  auto code = code_of(found.error());
  if (code == errc::wrong_store || code == errc::protocol_mismatch || code == errc::deadline_exceeded) {
    auto error = describe(found.error());
    if (code == errc::deadline_exceeded)
      error.code = errc::unavailable;
    return make_error(std::move(error));
  }
  auto error = describe(found.error()).message;
  if (options.require_broker)
    return route_required(error);
  if (options.warn)
    options.warn(error + "; the store is reached without it");
  return std::unique_ptr<client>{};
}

} // namespace

caf::expected<std::unique_ptr<client>> open_client(const fs::path& root, client_options options) {
  if (root.empty())
    return make_error(errc::invalid_request,
                      "root is empty; it must name the folder of the store (\".\" is the working "
                      "directory)");
  if (lies_in_broker_folder(root))
    return make_error(errc::invalid_request, "the folder lies in .sluice/, which belongs to the broker");
  auto config = load_config(root);
  auto mistake = config ? caf::error{} : config.error();
  if (mistake && options.needs_valid_config)
    return mistake;
  if (mistake)
    config = broker_config{};
  if (const auto* named = std::getenv("SLUICE_ENDPOINT"); named && options.endpoint.empty())
    options.endpoint = named;
  auto store = store_root::open(root);
  if (!store)
    return mistake ? mistake : read_only(root, *config, options, store.error());
  if (!options.endpoint.empty()) {
    auto opened = open_endpoint(options.endpoint, *store, *config, options);
    if (!opened || *opened)
      return opened;
  }
  election_options search{*store, {}, options.start_broker, options.program};
  leader_link::lead_function lead_here = [config = *config, mistake, root = *store, allowed = !options.require_broker,
                                          warn = options.warn](discovery_result found) {
    return mistake && allowed ? caf::expected<std::unique_ptr<client>>{mistake}
                              : lead(config, root, allowed, warn, std::move(found));
  };
  auto limit = steady_clock::now() + config->lock_wait;
  repeated_election election{search};
  for (;;) {
    auto found = election.find(limit);
    if (!found)
      return mistake ? mistake : read_only(root, *config, options, found.error());
    if (found->connection)
      return make_remote_client(std::move(search), std::move(found->connection), std::move(lead_here),
                                settings_of(*config, options));
    auto leader = lead_here(std::move(*found));
    if (!leader && code_of(leader.error()) == errc::read_only)
      return read_only(root, *config, options, leader.error());
    if (leader || code_of(leader.error()) != errc::busy || steady_clock::now() >= limit)
      return leader;
  }
}

} // namespace sluice
