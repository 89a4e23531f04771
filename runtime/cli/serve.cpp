#include "runtime/cli/serve.hpp"
#include "runtime/cli/commands.hpp"
#include "runtime/cli/exit_watchdog.hpp"
#include "runtime/cli/output.hpp"
#include "runtime/cli/request_options.hpp"
#include "runtime/cli/serve_log.hpp"
#include "runtime/client/client.hpp"
#include "runtime/client/stdio.hpp"
#include "runtime/client/takeover.hpp"
#include "runtime/os/heap_policy.hpp"
#include "runtime/server/front_door.hpp"
#include "runtime/sqlite/core/allocation_bound.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/store/store_lock.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <future>
#include <optional>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

namespace sluice::cli {

namespace {

namespace asio = boost::asio;

struct serve_options {
  std::string root = ".";
  std::string http;
  bool stdio = false;
  bool read_only = false;
  std::string agent;
  double idle_s = 0;
  // The options with which a client starts a transient broker: the descriptors that it inherits.
  bool transient = false;
  // Started without a lock: it leads if no other process does.
  bool candidate = false;
  int lock_fd = -1;
  int claim_fd = -1;
  int ready_fd = -1;
};

// One line reports the result to the client that started this broker.
void notify_starter(int fd, const std::string& line) {
  if (fd < 0)
    return;
  // The client may have given up waiting.
  if (write(fd, line.data(), line.size()) < 0)
    log_warning("the client that started this broker has gone");
  close(fd);
}

// Each connection takes a descriptor, and the soft limit is for programs that use select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
    return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Detaches from the client: it waits for the process that it started, and that process ends here.
void daemonize() {
  if (auto child = fork(); child != 0)
    _exit(child < 0 ? failed : done);
}

caf::expected<store_lock> lead(serve_options& options, const store_root& root, const broker_config& config) {
  if (options.lock_fd >= 0) {
    auto lock = store_lock::adopt(root, options.lock_fd, options.claim_fd);
    // The folder was deleted meanwhile; without a report the starter searches again, as after any sudden end.
    if (!lock)
      close(std::exchange(options.ready_fd, -1));
    return lock;
  }
  // A transient broker has no reason to replace another one.
  if (options.idle_s > 0 || options.candidate)
    return store_lock::acquire(root, std::chrono::milliseconds{0});
  return take_over(root, config.lock_wait);
}

// The event that stops a broker from outside: a signal, its front door, or the end of stdin.
class stop_event {
public:
  stop_event() : signals_(loop_, SIGTERM, SIGINT, SIGHUP) {
    signals_.async_wait([this](const boost::system::error_code& cancelled, int number) {
      if (cancelled)
        return;
      finish(fmt::format("signal {}", number));
    });
  }

  // Called by any thread.
  void set(std::string_view reason) {
    asio::post(loop_, [this, text = std::string{reason}] { finish(text); });
  }

  std::string wait() {
    loop_.run();
    return reason_;
  }

private:
  void finish(std::string reason) {
    reason_ = std::move(reason);
    // A second signal ends the process at once.
    boost::system::error_code ignored;
    signals_.clear(ignored);
    loop_.stop();
  }

  asio::io_context loop_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
  asio::signal_set signals_;
  std::string reason_;
};

// The front door needs threads, which the system may refuse.
caf::expected<std::unique_ptr<front_door>> open_door(broker& leader, front_door_options shape) {
  try {
    return front_door::open(leader, std::move(shape));
  } catch (const std::exception& error) {
    return make_error(errc::unavailable, std::string{"the broker cannot be started: "} + error.what());
  }
}

// An exception ends the process at once, and thereby releases the lock: a partly constructed broker could not be shut
// down.
caf::expected<std::string> serve(serve_options& options, const serve_hooks& hooks) noexcept {
  auto config = load_config(options.root);
  if (!config)
    return std::move(config.error());
  auto root = store_root::open(options.root);
  if (!root)
    return std::move(root.error());
  if (options.idle_s > 0)
    config->linger = std::chrono::milliseconds{static_cast<int64_t>(options.idle_s * 1e3)};
  sqlite::install_allocation_bound();
  sqlite::limit_memory(config->page_memory_bytes, config->max_sqlite_bytes);
  auto lock = lead(options, *root, *config);
  if (!lock)
    return std::move(lock.error());
  stop_event stop;
  auto leader = broker::open(*config, *root, std::move(*lock));
  if (!leader)
    return std::move(leader.error());
  log_into(*leader);
  front_door_options shape;
  shape.transient = options.transient || options.idle_s > 0;
  shape.http = options.http;
  shape.read_only = options.read_only;
  shape.stop_wanted = [&stop](std::string_view reason) { stop.set(reason); };
  auto door = open_door(*leader, shape);
  if (!door)
    return std::move(door.error());
  if (hooks.leads)
    hooks.leads(*leader);
  log_info(fmt::format("sluice {} serves {}{}", SLUICE_VERSION, root->path().string(),
                       (*door)->http_address().empty() ? "" : " and http://" + (*door)->http_address()));
  notify_starter(std::exchange(options.ready_fd, -1), "ready\n");
  std::thread talk;
  if (options.stdio)
    talk = std::thread{[&] {
      serve_stdio(options.root, note, {options.read_only, options.agent});
      stop.set("end of stdin");
    }};
  leader->on_failure([&stop](const failure& error) { stop.set(error.message); });
  auto reason = stop.wait();
  std::optional<exit_watchdog> watchdog{std::in_place, *leader};
  log_info("stopping: " + reason);
  if (hooks.stops)
    hooks.stops();
  (*door)->stop();
  auto leads = leader->still_leads();
  auto lost = leader->shutdown();
  watchdog.reset();
  auto failed = leader->why_failed();
  // If the folder was deleted or moved, no row could be kept in it; this is not an error.
  if (lost && !leads) {
    log_warning(describe(lost).message);
    lost = {};
  }
  if (failed)
    lost = make_error(*failed);
  log_info("stopped");
  // Reading stdin cannot be interrupted, but it must not delay the end.
  if (talk.joinable() && reason != "end of stdin")
    _exit(lost ? fail(lost, false) : done);
  if (talk.joinable())
    talk.join();
  if (lost)
    return lost;
  return reason;
}

int run(serve_options options, const serve_hooks& hooks) {
  // On stdio the process is a client, too.
  if (auto mistake = options.stdio ? mistake_in_environment() : std::nullopt)
    return usage_error(*mistake, false);
  if (const auto* name = std::getenv("SLUICE_AGENT"); options.stdio && options.agent.empty() && name)
    options.agent = name;
  if (options.stdio && (fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY)
    return fail(make_error(errc::io_error, "the answers cannot be written: standard output is closed"), false);
  // A candidate is in the background already: its launcher ends soon, or becomes another program.
  if (options.transient && !options.candidate)
    daemonize();
  if (hooks.begins)
    hooks.begins();
  raise_descriptor_limit();
  heap_policy::give_memory_back();
  // With --stdio alone, the process is a client like others: many may run side by side.
  if (options.stdio && options.http.empty() && options.idle_s == 0) {
    auto served = serve_stdio(options.root, note, {options.read_only, options.agent});
    return served ? done : fail(served.error(), false);
  }
  auto stopped = serve(options, hooks);
  if (stopped)
    return done;
  auto error = describe(stopped.error());
  notify_starter(options.ready_fd, fmt::format("error {} {}\n", to_string(error.code), error.message));
  // Another process leads, and that is not an error.
  return options.candidate && error.code == errc::busy ? failed : fail(error, false);
}

} // namespace

void declare_serve(CLI::App& command, action& chosen) { declare_serve(command, chosen, {}); }

void declare_serve(CLI::App& command, action& chosen, serve_hooks hooks) {
  auto options = std::make_shared<serve_options>();
  command.add_option("ROOT", options->root, "Folder of the store [.]");
  command
    .add_option("--http", options->http,
                "Serve HTTP on this address, too: /rpc, /mcp, /metrics (with the token of .sluice/token) and /healthz")
    ->type_name("127.0.0.1:PORT");
  command.add_flag("--stdio", options->stdio, "Speak JSON-RPC and MCP on stdin and stdout, until stdin ends");
  command.add_flag("--read-only", options->read_only, "Refuse every method that changes something");
  command
    .add_option("--agent", options->agent,
                "With --stdio: the agent of every request; other names are refused [SLUICE_AGENT]")
    ->needs("--stdio")
    ->check(not_empty("an agent"));
  command.add_option("--idle", options->idle_s, "Stop when the broker has been idle for so long")
    ->type_name("SECONDS")
    ->check(CLI::Range(0.01, 86'400.0));
  // For clients that start a broker; an empty group keeps them out of --help.
  command.add_flag("--transient", options->transient)->group("");
  command.add_flag("--candidate", options->candidate)->group("");
  command.add_option("--lock-fd", options->lock_fd)->group("");
  command.add_option("--claim-fd", options->claim_fd)->group("");
  command.add_option("--ready-fd", options->ready_fd)->group("");
  command.final_callback(
    [options, &chosen, hooks = std::move(hooks)] { chosen = [options, hooks] { return run(*options, hooks); }; });
}

} // namespace sluice::cli
