#include "runtime/server/front_door.hpp"

#include "runtime/os/forks.hpp"
#include "runtime/os/secret_file.hpp"
#include "runtime/os/user_name.hpp"
#include "runtime/server/agent_token_files.hpp"
#include "runtime/server/endpoint.hpp"
#include "runtime/server/folder_watch.hpp"
#include "runtime/server/http/server.hpp"
#include "runtime/server/io_actor.hpp"
#include "runtime/server/rpc/failures.hpp"
#include "runtime/server/service.hpp"
#include "runtime/server/socket_server.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include <future>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace sluice {

namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds drain_limit{6};

int64_t now_us() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

// HTTP clients are identified by their token alone.
class http_backend final : public http::backend {
public:
  http_backend(service& methods, std::string agent) : service_(methods), agent_(std::move(agent)) {}

  std::unique_ptr<rpc::handler> open_handler(const std::string& token) override {
    client_link link{.agent = token.empty() ? agent_ : token, .token = token, .is_remote = true};
    return service_.open_handler(std::move(link));
  }

  void note_refusal(errc code) override {
    open_handler({})->note_refusal({}, nullptr, rpc::error_of(describe(make_error(code, "the request is too large"))));
  }

  void check_health(std::function<void(http::health)> done) override {
    service_.check_health([done = std::move(done)](std::optional<std::string> error) {
      done({!error, error.value_or(std::string{})});
    });
  }

  void metrics(std::function<void(std::string)> done) override { service_.scrape(std::move(done)); }

private:
  service& service_;
  std::string agent_;
};

// The client that started a transient broker needs time to connect, though `linger` may be shorter.
constexpr std::chrono::milliseconds first_client_wait{2'000};

} // namespace

// The thread that calls `stop_wanted`; it may be the one that destroys this.
struct front_door::stop_notifier {
  stop_notifier() = default;
  stop_notifier(const stop_notifier&) = delete;
  stop_notifier& operator=(const stop_notifier&) = delete;
  ~stop_notifier() {
    // A forked child does not have that thread.
    if (forks != fork_count())
      static_cast<void>(new std::thread{std::move(thread)});
    else if (thread.get_id() == std::this_thread::get_id())
      thread.detach();
    else if (thread.joinable())
      thread.join();
  }

  std::thread thread;
  const uint64_t forks = fork_count();
};

// Used by the loop's thread while it runs.
struct front_door::parts {
  parts(broker& of, front_door_options wanted, stop_notifier& host_notifier)
    : leader(of), options(std::move(wanted)), notifier(host_notifier) {
    info.pid = getpid();
    info.version = SLUICE_VERSION;
    info.root = leader.root().identity();
    info.transient = options.transient;
    info.started_us = now_us();
  }

  ~parts() { leader.policy().on_other({}); }

  caf::expected<void> listen();
  caf::expected<void> listen_http();
  const std::map<std::string, std::string>& agent_tokens();
  void want_stop(std::string_view reason);
  void linger();
  size_t connections() const;
  std::chrono::steady_clock::time_point last_active() const;
  void check_folder();
  void close(std::function<void()> done);
  void run_loop();

  broker& leader;
  front_door_options options;
  stop_notifier& notifier;
  broker_info info;
  std::string user = user_name();
  // One thread runs the loop, so it needs no locks of its own.
  asio::io_context loop{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{loop.get_executor()};
  asio::steady_timer idle{loop};
  io_actor_handle actor{leader.system(), loop};
  service methods{leader, info, loop, *actor.get(), [this](std::string_view reason) { want_stop(reason); }};
  http_backend web_methods{methods, user + "@http"};
  std::unique_ptr<socket_server> socket;
  std::unique_ptr<http::server> web;
  std::optional<folder_watch> watch;
  agent_token_files tokens{leader.root().folder()};
  std::chrono::steady_clock::time_point opened_at{};
  bool had_clients = false;
  bool stop_was_wanted = false;
  std::thread thread;
};

caf::expected<void> front_door::parts::listen() {
  methods.is_read_only = options.read_only;
  auto path = socket_path_of(leader.root(), true);
  if (!path)
    return std::move(path.error());
  info.socket = *path;
  auto open = [this](peer_identity peer, socket_server::pusher push) {
    return methods.open_handler({peer, fmt::format("{}@{}", user, peer.pid), std::move(push)});
  };
  auto listening = socket_server::listen(loop, *path, leader.config(), open);
  if (!listening)
    return std::move(listening.error());
  socket = std::move(*listening);
  if (!options.http.empty())
    if (auto good = listen_http(); !good)
      return good;
  methods.count_connections = [this] { return connections(); };
  watch.emplace(loop, leader.root().folder(), [this] { check_folder(); });
  opened_at = last_active();
  if (options.transient)
    linger();
  return publish(leader.root(), info);
}

caf::expected<void> front_door::parts::listen_http() {
  auto token = load_or_make_secret(leader.root().folder() / "token", "token file");
  if (!token)
    return std::move(token.error());
  const auto& config = leader.config();
  http::settings settings;
  settings.address = options.http;
  settings.token = *token;
  if (auto good = tokens.load(*leader.policy().current()); !good)
    return good;
  settings.agent_tokens = [this]() -> const auto& { return agent_tokens(); };
  // The files of tokens that it names first are made, before anybody could use them.
  leader.policy().on_other([this] { asio::post(loop, [this] { agent_tokens(); }); });
  settings.max_connections = config.max_connections;
  settings.max_body_bytes = config.max_request_bytes;
  settings.max_inflight_bytes = config.max_inflight_bytes;
  settings.send_timeout = config.send_timeout;
  settings.version = SLUICE_VERSION;
  auto listening = http::server::listen(loop, settings, web_methods);
  if (!listening)
    return std::move(listening.error());
  web = std::move(*listening);
  info.http = options.http.substr(0, options.http.rfind(':') + 1) + std::to_string(web->port());
  return {};
}

// A token that cannot be read lets nobody in.
const std::map<std::string, std::string>& front_door::parts::agent_tokens() {
  if (auto good = tokens.load(*leader.policy().current()); !good)
    leader.log(log_level::warning, "sluice", describe(good.error()).message);
  return tokens.by_name();
}

void front_door::parts::want_stop(std::string_view reason) {
  if (std::exchange(stop_was_wanted, true))
    return;
  auto notify = [to = options.stop_wanted, error = std::string{reason}] { to(error); };
  try {
    notifier.thread = std::thread{notify};
  } catch (const std::system_error&) {
    // The caller may be in the middle of a request.
    asio::post(loop, notify);
  }
}

void front_door::parts::linger() {
  // Checked again as soon as it could be true, and not more often.
  auto needed = connections() > 0 ? std::chrono::steady_clock::now() : last_active();
  had_clients = had_clients || needed != opened_at;
  std::chrono::milliseconds stays = leader.config().linger;
  auto at = needed + (had_clients ? stays : std::max(stays, first_client_wait));
  if (std::chrono::steady_clock::now() >= at)
    return want_stop("it is idle");
  idle.expires_at(at);
  idle.async_wait([this](const boost::system::error_code& cancelled) {
    if (!cancelled)
      linger();
  });
}

size_t front_door::parts::connections() const { return socket->connections() + (web ? web->connections() : 0); }

std::chrono::steady_clock::time_point front_door::parts::last_active() const {
  return web ? std::max(socket->last_active(), web->last_active()) : socket->last_active();
}

// Accepts no more clients; calls `done` when the connected ones have gone.
void front_door::parts::close(std::function<void()> done) {
  stop_was_wanted = true;
  methods.set_draining();
  idle.cancel();
  watch.reset();
  unpublish(leader.root(), info);
  if (web)
    web->stop();
  socket->drain(std::move(done));
}

void front_door::parts::check_folder() {
  if (stop_was_wanted)
    return;
  // A broker without its lock file is no longer the leader: the next client creates a new one.
  if (!leader.still_leads())
    return want_stop("its lock file is gone, or its folder was moved");
  socket->renew();
  if (!published_info(leader.root()))
    static_cast<void>(publish(leader.root(), info));
}

caf::expected<std::unique_ptr<front_door>> front_door::open(broker& leader, front_door_options options) {
  std::unique_ptr<front_door> door{new front_door{leader.door()}};
  if (auto error = door->start(leader, std::move(options)))
    return error;
  return door;
}

// The requests of all pending events are put into the mailboxes before the actors run, so that they get into one group.
void front_door::parts::run_loop() {
  constexpr auto events_at_once = 64;
  auto is_over = false;
  while (!is_over)
    leader.serve([&] {
      is_over = loop.run_one() == 0;
      for (auto more = events_at_once; more > 0 && loop.poll_one() > 0;)
        --more;
    });
}

front_door::front_door(std::shared_ptr<front_door_guard> keeper)
  : keeper_(std::move(keeper)), stop_notifier_(std::make_unique<stop_notifier>()) {}

front_door::~front_door() {
  stop();
  keeper_->await_close();
  stop_notifier_.reset();
}

caf::error front_door::start(broker& leader, front_door_options options) {
  std::lock_guard guard{mutex_};
  // The end of the broker waits here until the front door is open, and then closes it.
  if (auto error = keeper_->enter([this] { stop(); }))
    return error;
  is_entered_ = true;
  caf::error error;
  try {
    error = serve(leader, std::move(options));
  } catch (const std::exception& lacking) {
    // Threads, memory or descriptors are lacking.
    error = make_error(errc::unavailable, std::string{"the front door cannot be opened: "} + lacking.what());
  }
  if (error)
    leave();
  return error;
}

caf::error front_door::serve(broker& leader, front_door_options options) {
  parts_ = std::make_unique<parts>(leader, std::move(options), *stop_notifier_);
  if (auto good = parts_->listen(); !good)
    return std::move(good.error());
  http_address_ = parts_->info.http;
  parts_->thread = std::thread{[this, door = parts_.get()] {
    loop_thread_ = std::this_thread::get_id();
    door->run_loop();
  }};
  return {};
}

void front_door::leave() {
  // No object refers to the broker any more.
  parts_.reset();
  if (std::exchange(is_entered_, false))
    keeper_->leave();
}

void front_door::stop() {
  // In its own thread, which runs `stop_wanted` if no other could be started, it cannot wait for itself.
  if (std::this_thread::get_id() == loop_thread_.load())
    return parts_->close([] {});
  std::lock_guard guard{mutex_};
  if (!parts_)
    return;
  // A forked child does not have the thread that would have to end; socket and clients belong to its parent.
  if (parts_->info.pid != getpid()) {
    static std::atomic<parts*> of_parent;
    of_parent = parts_.release();
    return;
  }
  parts_->leader.drain();
  std::promise<void> drained;
  asio::post(parts_->loop, [this, &drained] { parts_->close([&drained] { drained.set_value(); }); });
  // Requests that are still under way after this have exceeded their time.
  drained.get_future().wait_for(drain_limit);
  parts_->loop.stop();
  parts_->thread.join();
  loop_thread_ = std::thread::id{};
  leave();
}

} // namespace sluice
