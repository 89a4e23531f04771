#include "runtime/lab/scenario/real_backend.hpp"

#include "messages/error.hpp"
#include "runtime/client/client.hpp"
#include "runtime/lab/scenario/events.hpp"
#include "runtime/lab/scenario/external_process.hpp"
#include "runtime/lab/scenario/file_events.hpp"
#include "runtime/lab/scenario/line_link.hpp"
#include "runtime/lab/scenario/listener.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <mutex>

namespace sluice::scenario {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds command_limit{30};
constexpr std::chrono::seconds end_limit{15};

// Controls the current broker of one store through its control socket.
class controlled_broker {
public:
  explicit controlled_broker(control_socket point) : control_socket_(std::move(point)) {}

  caf::expected<json> ask(const json& command) {
    std::lock_guard guard{mutex_};
    accept_newest();
    if (!link_)
      return make_error(errc::unavailable, "no broker is running; the first request starts one");
    return link_.ask(command, command_limit);
  }

  /// Sends the broker a signal and waits for its end.
  caf::expected<json> end(int signal) {
    std::lock_guard guard{mutex_};
    accept_newest();
    if (!link_)
      return make_error(errc::unavailable, "no broker is running; the first request starts one");
    ::kill(pid_, signal);
    if (!link_.ends_within(end_limit))
      return make_error(errc::internal, fmt::format("the broker has not ended in {} s", end_limit.count()));
    link_.close();
    return json::object();
  }

private:
  // The broker that connected last is the leader.
  void accept_newest() {
    pid_t pid = -1;
    for (auto next = control_socket_.accept(pid); next; next = control_socket_.accept(pid)) {
      link_ = std::move(next);
      pid_ = pid;
    }
    if (link_ && link_.ends_within(milliseconds{0}))
      link_.close();
  }

  std::mutex mutex_;
  control_socket control_socket_;
  line_link link_;
  pid_t pid_ = -1;
};

struct agent {
  std::string name;
  bool add_keys = true;
  std::mutex opening;
  std::shared_ptr<client> opened;
};

class real_backend final : public backend {
public:
  explicit real_backend(real_backend_options options)
    : program_(std::move(options.program)), folder_(std::move(options.folder)), store_(folder_ / "store") {}

  ~real_backend() override {
    std::error_code ignored;
    // No client starts another broker from now on.
    fs::remove(starter(), ignored);
    listeners_.clear();
    if (open_ > 0 && broker_)
      static_cast<void>(broker_->end(SIGKILL));
    work_.reset();
    agents_.clear();
    external_process_.end();
    if (broker_ && !broker_->end(SIGTERM))
      static_cast<void>(broker_->end(SIGKILL));
  }

  std::string_view name() const override { return "the real runtime"; }

  std::optional<std::string> unsupported_reason(std::string_view kind) const override {
    if (kind == "clock.advance" || kind == "clock.set")
      return "its clock is the machine's";
    return std::nullopt;
  }

  std::optional<setup_error> prepare(const setup& wanted) override {
    std::error_code failed;
    fs::create_directory(store_, failed);
    std::ofstream{store_ / "sluice.toml"} << wanted.settings;
    auto meeting = control_socket::open(folder_ / "controller");
    if (!meeting)
      return setup_error{std::move(meeting.error()), {}};
    broker_ = std::make_unique<controlled_broker>(std::move(*meeting));
    write_starter();
    for (const auto& agent : wanted.agents)
      find_or_add_agent(agent.name).add_keys = agent.add_keys;
    auto process = helper_process::start({program_.string(), "scenario-external-process", store_.string()});
    if (!process)
      return setup_error{std::move(process.error()), {}};
    external_process_ = std::move(*process);
    if (auto wrong =
          make_databases(wanted, [this](const json& x) { return external_process_.link.ask(x, command_limit); }))
      return wrong;
    // Reports invalid settings now, and starts the broker before faults are injected.
    auto first = client_of(find_or_add_agent("someone"));
    if (!first)
      return setup_error{std::move(first.error()), wanted.settings_at};
    if (auto answer = (*first)->call("ping", json::object()); !answer)
      return setup_error{std::move(answer.error()), wanted.settings_at};
    return std::nullopt;
  }

  milliseconds now() const override {
    return std::chrono::duration_cast<milliseconds>(steady_clock::now().time_since_epoch());
  }

  void after(milliseconds time, std::function<void()> done) override { events_.after(time, std::move(done)); }

  void call(const std::string& name, std::string_view method, json params, on_answer done) override {
    auto& agent = find_or_add_agent(name);
    in_background(
      [this, &agent, method = std::string{method}, params = std::move(params)]() mutable -> caf::expected<json> {
        auto opened = client_of(agent);
        if (!opened)
          return std::move(opened.error());
        return (*opened)->call(method, std::move(params));
      },
      std::move(done));
  }

  void subscribe(const std::string& name, json params, on_answer done, notification_handler on_notification) override {
    auto& agent = find_or_add_agent(name);
    auto notify = [this, on_notification = std::move(on_notification)](json notification) {
      events_.post([on_notification, notification = std::move(notification)] { on_notification(notification); });
    };
    auto added = std::make_shared<listener>(store_, std::move(notify));
    listeners_.push_back(added);
    in_background(
      [this, &agent, added, params = std::move(params)]() -> caf::expected<json> {
        // Ensures that a broker runs.
        if (auto opened = client_of(agent); !opened)
          return std::move(opened.error());
        else if (auto there = (*opened)->call("ping", json::object()); !there)
          return there;
        return added->begin(params);
      },
      std::move(done));
  }

  void act(std::string_view kind, json fields, on_answer done) override {
    if (kind == "client.leave")
      return in_background([this, fields] { return leave(fields); }, std::move(done));
    if (kind.starts_with("foreign.") || kind.starts_with("files.") || kind.starts_with("store."))
      return run_externally(kind.substr(kind.find('.') + 1), std::move(fields), std::move(done));
    in_background(
      [this, kind = std::string{kind}, fields = std::move(fields)]() mutable -> caf::expected<json> {
        if (kind == "stop")
          return broker_->end(SIGTERM);
        if (kind == "kill" && fields.at("what") == "process")
          return broker_->end(SIGKILL);
        fields["do"] = kind;
        return broker_->ask(fields);
      },
      std::move(done));
  }

  bool pump() override { return events_.pump(open_ > 0); }

private:
  fs::path starter() const { return folder_ / "start-broker"; }

  // Writes the script with which clients start brokers.
  void write_starter() const {
    auto quoted = [](const fs::path& path) {
      std::string result = "'";
      for (auto c : path.native())
        result += c == '\'' ? std::string{"'\\''"} : std::string{c};
      return result + "'";
    };
    std::ofstream{starter()} << fmt::format("#!/bin/sh\nexec {} scenario-broker --controller {} \"$@\"\n",
                                            quoted(program_), quoted(folder_ / "controller"));
    fs::permissions(starter(), fs::perms::owner_all);
  }

  // Called by the thread of the backend.
  agent& find_or_add_agent(const std::string& name) {
    auto& found = agents_[name];
    if (!found)
      found = std::make_unique<agent>();
    found->name = name;
    return *found;
  }

  caf::expected<std::shared_ptr<client>> client_of(agent& agent) const {
    std::lock_guard guard{agent.opening};
    if (agent.opened)
      return agent.opened;
    client_options options;
    options.program = starter();
    options.require_broker = true;
    options.add_keys = agent.add_keys;
    auto opened = open_client(store_, options);
    if (!opened)
      return std::move(opened.error());
    agent.opened = std::move(*opened);
    return agent.opened;
  }

  void run_externally(std::string_view action, json fields, on_answer done) {
    auto time = fields.value("for_ms", int64_t{0});
    auto db = fields.value("db", "");
    auto command = fields;
    command["do"] = action;
    if (action == "write")
      command = {{"do", "execute"}, {"db", db}, {"sql", json::array({fields.at("sql")})}};
    in_background(
      [this, command] { return ask_external_process(command); },
      [this, time, db, done = std::move(done)](caf::expected<json> answer) {
        if (answer && time > 0)
          after(milliseconds{time}, [this, db] { run_externally("unlock", json{{"db", db}}, [](auto&&) {}); });
        done(std::move(answer));
      });
  }

  // Uses a connection of its own, which is closed as soon as the request was sent.
  caf::expected<json> leave(const json& fields) {
    if (auto opened = client_of(find_or_add_agent("someone")); !opened)
      return std::move(opened.error());
    else if (auto there = (*opened)->call("ping", json::object()); !there)
      return there;
    auto connection = connect_to_broker(store_);
    if (!connection)
      return std::move(connection.error());
    line_link{std::move(*connection), descriptor{}}.send(
      {{"jsonrpc", "2.0"}, {"id", 1}, {"method", "write"}, {"params", as_write(fields)}});
    return json::object();
  }

  caf::expected<json> ask_external_process(const json& command) {
    std::lock_guard guard{external_process_mutex_};
    return external_process_.link.ask(command, command_limit);
  }

  void in_background(std::function<caf::expected<json>()> work, on_answer done) {
    ++open_;
    work_->start([this, work = std::move(work), done = std::move(done)]() mutable {
      auto answer = std::make_shared<caf::expected<json>>(work());
      events_.post([this, answer, done = std::move(done)] {
        --open_;
        done(std::move(*answer));
      });
    });
  }

  fs::path program_;
  fs::path folder_;
  fs::path store_;
  events events_;
  // The number of calls without an answer.
  size_t open_ = 0;
  std::unique_ptr<controlled_broker> broker_;
  std::mutex external_process_mutex_;
  helper_process external_process_;
  std::map<std::string, std::unique_ptr<agent>> agents_;
  std::vector<std::shared_ptr<listener>> listeners_;
  std::unique_ptr<workers> work_ = std::make_unique<workers>();
};

} // namespace

std::unique_ptr<backend> make_real_backend(real_backend_options options) {
  return std::make_unique<real_backend>(std::move(options));
}

} // namespace sluice::scenario
