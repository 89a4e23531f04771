#include "runtime/server/front_door.hpp"

#include "runtime/os/forks.hpp"
#include "runtime/os/secret_file.hpp"
#include "runtime/os/user_name.hpp"
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

  std::unique_ptr<rpc::handler> open_handler() override { return service_.open_handler({{}, agent_, {}}); }

  void note_refusal(errc code) override {
    open_handler()->note_refusal({}, nullptr, rpc::error_of(describe(make_error(code, "the request is too large"))));
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

} // namespace

// The client that started a transient broker needs time to connect, though `linger` may be shorter.
constexpr std::chrono::milliseconds first_client_wait{2'000};

// The thread that calls `stop_wanted`; it may be the one that destroys this.
struct front_door::teller {
  teller() = default;
  teller(const teller&) = delete;
  teller& operator=(const teller&) = delete;
  ~teller() {
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

// Used by the loop's thread once that runs.
struct front_door::parts {
  parts(broker& of, front_door_options wanted, teller& tells)
    : leader(of), options(std::move(wanted)), teller_of_host(tells) {
    info.pid = getpid();
    info.version = SLUICE_VERSION;
    info.root = leader.root().identity();
    info.transient = options.transient;
    info.started_us = now_us();
  }

  caf::expected<void> listen();
  caf::expected<void> listen_http();
  void want_stop(std::string_view reason);
  void linger();
  size_t connections() const;
  std::chrono::steady_clock::time_point last_active() const;
  void look_around();
  void close(std::function<void()> done);
  void run_loop();

  broker& leader;
  front_door_options options;
  teller& teller_of_host;
  broker_info info;
  std::string user = user_name();
  // One thread: the loop needs no locks of its own.
  asio::io_context loop{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{loop.get_executor()};
  asio::steady_timer idle{loop};
  io_actor_handle actor{leader.system(), loop};
  service methods{leader, info, loop, *actor.get(), [this](std::string_view reason) { want_stop(reason); }};
  http_backend web_methods{methods, user + "@http"};
  std::unique_ptr<socket_server> socket;
  std::unique_ptr<http::server> web;
  std::optional<folder_watch> watch;
  std::chrono::steady_clock::time_point opened_at{};
  bool had_clients = false;
  bool stop_was_wanted = false;
  std::thread thread;
};

caf::expected<void> front_door::parts::listen() {
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
  watch.emplace(loop, leader.root().folder(), [this] { look_around(); });
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

void front_door::parts::want_stop(std::string_view reason) {
  if (std::exchange(stop_was_wanted, true))
    return;
  auto tell = [to = options.stop_wanted, error = std::string{reason}] { to(error); };
  try {
    teller_of_host.thread = std::thread{tell};
  } catch (const std::system_error&) {
    // The caller may be in the middle of a request.
    asio::post(loop, tell);
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

// Accepts no more clients; `done` is called when the connected ones have gone.
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

void front_door::parts::look_around() {
  if (stop_was_wanted)
    return;
  // Without its lock file a broker is not the leader any more: the next client makes a new one.
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

// The requests of all events that have come by now are in the mailboxes before the actors run: so they get into one
// group.
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
  : keeper_(std::move(keeper)), teller_(std::make_unique<teller>()) {}

front_door::~front_door() {
  stop();
  keeper_->await_close();
  teller_.reset();
}

caf::error front_door::start(broker& leader, front_door_options options) {
  std::lock_guard guard{mutex_};
  // The end of the broker waits here until the door is open, and then closes it.
  if (auto error = keeper_->enter([this] { stop(); }))
    return error;
  is_entered_ = true;
  caf::error error;
  try {
    error = serve(leader, std::move(options));
  } catch (const std::exception& lacking) {
    // Threads, memory or descriptors.
    error = make_error(errc::unavailable, std::string{"the front door cannot be opened: "} + lacking.what());
  }
  if (error)
    leave();
  return error;
}

caf::error front_door::serve(broker& leader, front_door_options options) {
  parts_ = std::make_unique<parts>(leader, std::move(options), *teller_);
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
  // No object has a reference to the broker any more.
  parts_.reset();
  if (std::exchange(is_entered_, false))
    keeper_->leave();
}

void front_door::stop() {
  // In its own thread, in which `stop_wanted` runs if no other could be started, it cannot wait for itself.
  if (std::this_thread::get_id() == loop_thread_.load())
    return parts_->close([] {});
  std::lock_guard guard{mutex_};
  if (!parts_)
    return;
  // A forked child does not have the thread that would have to end, and socket and clients belong to its parent.
  if (parts_->info.pid != getpid()) {
    static std::atomic<parts*> of_parent;
    of_parent = parts_.release();
    return;
  }
  parts_->leader.drain();
  std::promise<void> drained;
  asio::post(parts_->loop, [this, &drained] { parts_->close([&drained] { drained.set_value(); }); });
  // Then requests that are still under way have exceeded their time.
  drained.get_future().wait_for(drain_limit);
  parts_->loop.stop();
  parts_->thread.join();
  loop_thread_ = std::thread::id{};
  leave();
}

} // namespace sluice
