// A host that ends in various ways, for tests that cannot end their own process: with static objects, from threads and
// actors.
//
//   lifetimes_host CASE FOLDER [NUMBER]
//
// Prints the results, a line for each fact.

#include "tests/system/host_program.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

namespace {

using namespace sluice;
using namespace sluice::test::lifetimes;

// Destroyed after all static objects that the library creates on use.
std::optional<broker> static_broker;
std::optional<database> static_database;
std::unique_ptr<client> static_client;
std::unique_ptr<client> static_leading_client;
std::unique_ptr<front_door> static_door;

void open_static() {
  static_broker.emplace(need(broker::open(config_of(folder))));
  static_database.emplace(open_app(*static_broker));
}

void acknowledge(int64_t id) {
  need(static_database->write(insert(id)));
  say(fmt::format("acknowledged {}", id));
}

void exit_opened() { static_broker.emplace(need(broker::open(config_of(folder)))); }

void exit_used() {
  open_static();
  acknowledge(1);
  need(static_database->read(count_rows()));
  need(static_database->write_async(insert(2)).get());
  static_broker->log(log_level::info, "host", "text");
}

void exit_shut_down() {
  open_static();
  acknowledge(1);
  static_broker->shutdown();
}

void exit_reopened() {
  open_static();
  static_broker.reset();
  open_static();
  acknowledge(1);
}

void exit_client() {
  client_options options;
  options.start_broker = false;
  static_client = need(open_client(folder, options));
  need(static_client->write(make_tables()));
  need(static_client->write(insert(1)));
  for (auto i = 2; i < 50; ++i)
    static_cast<void>(static_client->write_async(insert(i)));
}

void exit_door() {
  open_static();
  static_door = need(front_door::open(*static_broker, {}));
  client_options options;
  options.require_broker = true;
  static_client = need(open_client(folder, options));
  need(static_client->write(insert(1)));
  for (auto i = 2; i < 50; ++i)
    static_cast<void>(static_client->write_async(insert(i)));
}

void exit_under_threads() {
  open_static();
  for (auto i = 0; i < 8; ++i)
    std::thread{[i] {
      for (int64_t id = 1; static_database->write(insert(1'000'000 * i + id)); ++id)
        continue;
    }}.detach();
  while (*need(static_database->read(count_rows())).rows->at(0, 0).integer() < 100)
    std::this_thread::yield();
}

void live_on(caf::event_based_actor* self) {
  self->delayed_send(self, 1h, caf::tick_atom_v);
  self->become([](caf::tick_atom) {});
}

// The list of abandoned actor systems has been used, and is destroyed before this broker.
void exit_after_lingering() {
  auto first = std::make_unique<broker>(need(broker::open(config_of(folder))));
  std::promise<void> ended;
  first->system().spawn([&](caf::event_based_actor*) {
    first.reset();
    ended.set_value();
  });
  ended.get_future().wait();
  open_static();
  acknowledge(1);
  static_broker->system().spawn(live_on);
}

void exit_in_actor() {
  open_static();
  static_broker->system().spawn([](caf::event_based_actor* self) {
    static_database->write(self, insert(1)).then([](const write_result&) {
      say("acknowledged 1");
      std::exit(3);
    });
  });
  for (;;)
    pause();
}

void exit_in_actor_after_lingering() {
  exit_after_lingering();
  need(static_database->write("host", "DELETE FROM t"));
  static_broker.reset();
  exit_in_actor();
}

void exit_in_thread() {
  open_static();
  std::thread{[] {
    acknowledge(1);
    std::exit(3);
  }}.detach();
  write_until_refused(*static_database);
  for (;;)
    pause();
}

write_request slow_insert() {
  auto result = insert(0);
  result.agent = "slow";
  result.statements = {
    {"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100000000) INSERT INTO t SELECT "
     "-1 - max(x) FROM n",
     {}}};
  return result;
}

// When the broker has the request, the thread is inside the client.
bool knows_slow_write(client& whom) {
  const auto status = need(whom.status());
  return std::ranges::any_of(status.at("running"), [](const auto& x) { return x.at("agent") == "slow"; });
}

// Destroys the client while threads wait in it.
void call_in_thread(client& whom) {
  std::thread{[&whom] { static_cast<void>(whom.write(slow_insert())); }}.detach();
  for (auto i = 2; i < 50; ++i)
    static_cast<void>(whom.write_async(insert(i)));
}

// Has calls under way through every interface of a store.
void exit_in_thread_under_way() {
  open_static();
  acknowledge(1);
  static_door = need(front_door::open(*static_broker, {}));
  client_options options;
  options.require_broker = true;
  static_client = need(open_client(folder, options));
  options.require_broker = false;
  options.start_broker = false;
  std::filesystem::create_directory(folder / "led");
  static_leading_client = need(open_client(folder / "led", options));
  need(static_leading_client->write(make_tables()));
  call_in_thread(*static_client);
  call_in_thread(*static_leading_client);
  for (auto i = 0; i < 4; ++i)
    std::thread{[db = *static_database] { write_until_refused(db); }}.detach();
  while (!knows_slow_write(*static_client) || !knows_slow_write(*static_leading_client))
    std::this_thread::yield();
  std::thread{[] { std::exit(3); }}.detach();
  for (;;)
    pause();
}

void exit_quickly() {
  open_static();
  acknowledge(1);
  std::quick_exit(0);
}

// Destroys everything by static objects of the host, in the order with this number.
struct static_end {
  std::unique_ptr<situation> all;
  std::optional<watchdog> limit;
  order parts;

  void begin(system_kind where) {
    all = std::make_unique<situation>(where, folder);
    parts = nth_order(number, all->has_system());
    say(name_of(parts));
    limit.emplace("static destruction of " + name_of(parts));
  }

  ~static_end() {
    if (!all)
      return;
    try {
      all->end_all(parts);
      all->finish_all();
      limit.reset();
      all->require_writes();
      all.reset();
      say("finished");
    } catch (const std::exception& error) {
      say(error.what());
    }
  }
} static_situation;

const std::map<std::string, std::function<void()>> cases{
  {"exit_opened", exit_opened},
  {"exit_used", exit_used},
  {"exit_shut_down", exit_shut_down},
  {"exit_reopened", exit_reopened},
  {"exit_client", exit_client},
  {"exit_door", exit_door},
  {"exit_under_threads", exit_under_threads},
  {"exit_after_lingering", exit_after_lingering},
  {"exit_in_actor", exit_in_actor},
  {"exit_in_actor_after_lingering", exit_in_actor_after_lingering},
  {"exit_in_thread", exit_in_thread},
  {"exit_in_thread_under_way", exit_in_thread_under_way},
  {"exit_quickly", exit_quickly},
  {"exit_own_system", [] { static_situation.begin(system_kind::broker_system); }},
  {"exit_one_thread", [] { static_situation.begin(system_kind::one_thread); }},
  {"exit_eight_threads", [] { static_situation.begin(system_kind::eight_threads); }},
};

} // namespace

int main(int argc, char** argv) { return run_case(argc, argv, cases); }
