#include "tests/simulation/backend/simulated_backend.hpp"

#include "runtime/lab/scenario/external_process.hpp"
#include "runtime/lab/scenario/fault_injection.hpp"
#include "runtime/lab/scenario/file_events.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "tests/simulation/backend/served_broker.hpp"
#include "tests/simulation/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <list>
#include <map>

namespace sluice::simulation {

namespace {

using nlohmann::json;
using scenario::setup;
using std::chrono::milliseconds;

// Methods whose repetition has no visible effect.
constexpr std::array<std::string_view, 9> harmless{"read",         "ping",        "hello", "status",    "audit.list",
                                                   "audit.verify", "logs.recent", "flush", "buffer.get"};

constexpr std::chrono::seconds successor_limit{10};

caf::error unknown_fate() {
  failure error;
  error.code = errc::unavailable;
  error.outcome = sluice::outcome::unknown;
  error.message = "the broker died before it answered";
  return make_error(std::move(error));
}

class simulated_backend final : public scenario::backend {
public:
  explicit simulated_backend(uint64_t seed) : luck_(seed), world_(set_, luck_, told_) { set_.databases = 0; }

  ~simulated_backend() override {
    open_.clear();
    foreign_.reset();
    served_.reset();
  }

  std::string_view name() const override { return "the simulation"; }

  std::optional<std::string> unsupported_reason(std::string_view) const override { return std::nullopt; }

  std::optional<scenario::setup_error> prepare(const setup& definition) override {
    std::ofstream{world_.file("sluice.toml")} << definition.settings;
    auto config = load_config(world_.file({}));
    if (!config)
      return scenario::setup_error{std::move(config.error()), definition.settings_at};
    world_.configure(std::move(*config));
    for (const auto& agent : definition.agents)
      agents_[agent.name] = agent;
    foreign_ = std::make_unique<scenario::external_process>(world_.file({}));
    return scenario::make_databases(definition, [this](const json& x) { return foreign_->execute(x); });
  }

  milliseconds now() const override {
    return std::chrono::duration_cast<milliseconds>(world_.time().now().time_since_epoch());
  }

  void after(milliseconds time, std::function<void()> done) override {
    timers_.emplace(world_.time().now() + time, std::move(done));
  }

  void call(const std::string& agent, std::string_view method, json params, on_answer done) override {
    if (method == "write" && adds_keys(agent) && params.is_object() && !params.contains("idempotency_key"))
      params["idempotency_key"] = fmt::format("of-{}-{}", agent, ++keys_);
    ask({agent, std::string{method}, std::move(params), std::move(done), {}});
  }

  void subscribe(const std::string& agent, json params, on_answer done, notification_handler notify) override {
    ask({agent, "subscribe", std::move(params), std::move(done), std::move(notify)});
  }

  void act(std::string_view kind, json fields, on_answer done) override {
    auto answer = act_now(kind, fields, done);
    if (answer)
      after(milliseconds{0}, [answer = std::move(*answer), done = std::move(done)] { done(answer); });
  }

  bool pump() override;

private:
  struct request {
    std::string agent;
    std::string method;
    json params;
    on_answer done;
    notification_handler notify;
    bool sent = false;
  };
  using request_ptr = std::shared_ptr<request>;

  void ask(request asked) { open_.push_back(std::make_shared<request>(std::move(asked))); }

  bool adds_keys(const std::string& agent) const {
    auto found = agents_.find(agent);
    return found == agents_.end() || found->second.add_keys;
  }

  // Empty if the step is answered later.
  std::optional<caf::expected<json>> act_now(std::string_view kind, json fields, const on_answer& done);
  caf::expected<json> run_externally(std::string_view action, json fields);
  caf::expected<json> leave(const json& fields);
  std::optional<caf::expected<json>> kill(const json& fields, const on_answer& done);
  void await_successor(std::function<bool()> is_there, clock::steady limit, on_answer done);
  void end_subscriptions();

  bool send_waiting();
  void send(const request_ptr& ptr);
  void answered(const request_ptr& request, rpc::answer answer);
  void process_gone();
  bool run_due();

  settings set_;
  dice luck_;
  trace told_{false};
  world world_;
  std::unique_ptr<served_broker> served_;
  std::unique_ptr<scenario::external_process> foreign_;
  std::map<std::string, scenario::agent_options> agents_;
  std::list<request_ptr> open_;
  std::vector<notification_handler> listeners_;
  std::multimap<clock::steady, std::function<void()>> timers_;
  on_answer stopped_;
  uint64_t keys_ = 0;
};

std::optional<caf::expected<json>> simulated_backend::act_now(std::string_view kind, json fields,
                                                              const on_answer& done) {
  if (kind == "client.leave")
    return leave(fields);
  if (kind.starts_with("foreign.") || kind.starts_with("files.") || kind.starts_with("store."))
    return run_externally(kind.substr(kind.find('.') + 1), std::move(fields));
  if (kind == "clock.advance") {
    world_.advance(milliseconds{fields.at("ms").get<int64_t>()});
    return json::object();
  }
  if (kind == "clock.set") {
    world_.set_wall(milliseconds{fields.value("ahead_ms", int64_t{0}) - fields.value("back_ms", int64_t{0})});
    return json::object();
  }
  if (kind == "kill")
    return kill(fields, done);
  if (kind == "stop") {
    if (!served_)
      return make_error(errc::unavailable, "no broker is running; the first request starts one");
    stopped_ = done;
    world_.close();
    return std::nullopt;
  }
  fields["do"] = kind;
  return scenario::break_disk(world_.faults(), fields);
}

caf::expected<json> simulated_backend::run_externally(std::string_view action, json fields) {
  auto db = fields.value("db", "");
  auto command = fields;
  command["do"] = action;
  if (action == "write")
    command = {{"do", "execute"}, {"db", db}, {"sql", json::array({fields.at("sql")})}};
  auto answer = foreign_->execute(command);
  if (auto time = fields.value("for_ms", int64_t{0}); answer && time > 0)
    after(milliseconds{time}, [this, db] { static_cast<void>(run_externally("unlock", {{"db", db}})); });
  return answer;
}

caf::expected<json> simulated_backend::leave(const json& fields) {
  if (!served_)
    return make_error(errc::unavailable, "no broker is running; the first request starts one");
  // Draws the moment in the following steps.
  served_->abandon("write", scenario::as_write(fields), luck_.pick(6));
  return json::object();
}

std::optional<caf::expected<json>> simulated_backend::kill(const json& fields, const on_answer& done) {
  if (!served_)
    return make_error(errc::unavailable, "no broker is running; the first request starts one");
  if (fields.at("what") == "process") {
    process_gone();
    return json::object();
  }
  auto replaced = scenario::kill_actor(world_.front().actors(), fields);
  if (!replaced)
    return std::move(replaced.error());
  await_successor(std::move(*replaced), world_.time().now() + successor_limit, done);
  return std::nullopt;
}

void simulated_backend::await_successor(std::function<bool()> is_there, clock::steady limit, on_answer done) {
  if (!served_ || is_there())
    return done(json::object());
  if (world_.time().now() >= limit)
    return done(make_error(errc::internal, "the killed actor has not been restarted"));
  after(milliseconds{1}, [this, is_there, limit, done] { await_successor(is_there, limit, done); });
}

void simulated_backend::end_subscriptions() {
  for (const auto& notify : std::exchange(listeners_, {}))
    after(milliseconds{0}, [notify] { notify({{"reason", "the connection was lost"}}); });
}

bool simulated_backend::send_waiting() {
  auto next = std::find_if(open_.begin(), open_.end(), [](const auto& x) { return !x->sent; });
  if (next == open_.end() || stopped_)
    return false;
  if (!served_) {
    if (!world_.is_up())
      world_.boot();
    if (!world_.ready())
      return false;
    served_ = std::make_unique<served_broker>(world_.front());
  }
  send(*next);
  return true;
}

void simulated_backend::send(const request_ptr& ptr) {
  ptr->sent = true;
  auto done = [this, ptr](rpc::answer answer) { answered(ptr, std::move(answer)); };
  if (!ptr->notify)
    return served_->call(ptr->agent, ptr->method, ptr->params, done);
  listeners_.push_back(ptr->notify);
  served_->subscribe(ptr->agent, ptr->params, done, [notify = ptr->notify](const std::string& line, bool) {
    notify(json::parse(line).at("params"));
    return true;
  });
}

void simulated_backend::answered(const request_ptr& ptr, rpc::answer answer) {
  // A broker that steps down reports this; the call is repeated at the next one.
  if (answer.error && answer.error->data.is_object() && answer.error->data.value("draining", false)) {
    ptr->sent = false;
    return;
  }
  open_.remove(ptr);
  if (!answer.error)
    return ptr->done(answer.text.empty() ? std::move(answer.result) : json::parse(answer.text));
  json error{{"code", answer.error->code}, {"message", answer.error->message}, {"data", answer.error->data}};
  ptr->done(make_error(rpc::failure_from_json(error)));
}

// Repeats waiting calls at the next broker, if repetition has no visible effect.
void simulated_backend::process_gone() {
  served_.reset();
  world_.die(false);
  end_subscriptions();
  auto asked = std::exchange(open_, {});
  for (auto& each : asked) {
    auto repeatable = std::find(harmless.begin(), harmless.end(), each->method) != harmless.end()
                      || (each->params.is_object() && each->params.contains("idempotency_key"));
    if (!each->sent || repeatable) {
      each->sent = false;
      open_.push_back(std::move(each));
    } else {
      after(milliseconds{0}, [each] { each->done(unknown_fate()); });
    }
  }
}

bool simulated_backend::run_due() {
  if (timers_.empty() || timers_.begin()->first > world_.time().now())
    return false;
  auto done = std::move(timers_.begin()->second);
  timers_.erase(timers_.begin());
  done();
  return true;
}

bool simulated_backend::pump() {
  if (world_.died()) {
    process_gone();
    return true;
  }
  if (stopped_ && world_.closed()) {
    served_.reset();
    world_.leave();
    end_subscriptions();
    for (auto& each : open_)
      each->sent = false;
    after(milliseconds{0}, [done = std::exchange(stopped_, {})] { done(json::object()); });
    return true;
  }
  if ((served_ && served_->pump()) || run_due() || send_waiting() || (world_.is_up() && world_.step()))
    return true;
  if (timers_.empty())
    return false;
  world_.advance(milliseconds{1});
  return true;
}

} // namespace

std::unique_ptr<scenario::backend> make_simulated_backend(uint64_t seed) {
  return std::make_unique<simulated_backend>(seed);
}

} // namespace sluice::simulation
