// Hosts whose threads and actors outlive a broker, or end in an unusual order.
#include "runtime/store/store_root.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/system/fixture.hpp"
#include "tests/system/situation.hpp"

namespace sluice::test::lifetimes_test {

using namespace lifetimes;

namespace {

// A thread of the host that keeps running after its work.
class living_thread {
public:
  explicit living_thread(std::function<void()> work)
    : thread_([this, work = std::move(work)] {
        work();
        worked_.set_value();
        go_.get_future().wait();
      }) {
    worked_.get_future().wait();
  }
  ~living_thread() {
    go_.set_value();
    thread_.join();
  }

private:
  std::promise<void> worked_;
  std::promise<void> go_;
  std::thread thread_;
};

// A broker in its own actor system or in that of the host.
struct fixture {
  explicit fixture(size_t threads = 0) {
    if (threads > 0)
      system = std::make_unique<host_system>(threads);
    open();
    must(db->write(make_tables()));
  }

  void open() {
    host = std::make_unique<broker>(
      must(system ? broker::open(system->get(), config_of(folder.path())) : broker::open(config_of(folder.path()))));
    db.emplace(must(host->open_database("app.db")));
  }

  template <class Work> void within_limit(const char* action, Work work) {
    watchdog limit{action};
    work();
  }

  temp_dir folder;
  std::unique_ptr<host_system> system;
  std::unique_ptr<broker> host;
  std::optional<database> db;
};

size_t home_threads() { return GENERATE(as<size_t>{}, 0, 1, 8); }

template <class Result> void require_unavailable(const caf::expected<Result>& result) {
  auto error = refused(result);
  CHECK(error.code == errc::unavailable);
  CHECK(error.retry_after_ms == 0);
}

} // namespace

TEST_CASE("threads of a pool that made blocking calls live on when the broker is destroyed", "[system][lifetimes]") {
  fixture f{home_threads()};
  std::vector<std::unique_ptr<living_thread>> pool;
  for (auto i = 0; i < 8; ++i)
    pool.push_back(std::make_unique<living_thread>([&, i] {
      must(f.db->write(insert(i)));
      must(f.db->read(count_rows()));
      must(must(f.db->open_cursor(many_rows()))->next());
      must(f.host->buffer().put(keep(i)));
      must(f.host->audit({}));
    }));
  f.within_limit("a pool of threads that live on", [&] {
    f.db.reset();
    f.host.reset();
    f.system.reset();
  });
}

TEST_CASE("a broker is destroyed while the thread that opened it, and its front door, lives on",
          "[system][lifetimes]") {
  temp_dir folder;
  auto threads = home_threads();
  auto system = threads > 0 ? std::make_unique<host_system>(threads) : nullptr;
  std::unique_ptr<broker> host;
  living_thread opener{[&] {
    host = std::make_unique<broker>(
      must(system ? broker::open(system->get(), config_of(folder.path())) : broker::open(config_of(folder.path()))));
    must(front_door::open(*host, {}));
    must(must(host->open_database("app.db")).write(make_tables()));
  }};
  watchdog limit{"the thread that opened lives on"};
  auto start = std::chrono::steady_clock::now();
  host.reset();
  system.reset();
  // State of CAF in a thread would delay the end.
  CHECK(std::chrono::steady_clock::now() - start < (is_sanitized ? 60s : 4s));
}

TEST_CASE("a thread that spawned an agent in the broker's own system lives on", "[system][lifetimes]") {
  resources before;
  {
    fixture f;
    living_thread spawner{[&] { f.host->system().spawn([](caf::event_based_actor*) {}); }};
    auto start = std::chrono::steady_clock::now();
    f.within_limit("a thread that spawned lives on", [&] { f.host.reset(); });
    // The destructor waits this long for agents that do not end.
    CHECK(std::chrono::steady_clock::now() - start < (is_sanitized ? 60s : 3s));
    // Another broker can lead meanwhile.
    f.open();
    must(f.db->write(insert(1)));
  }
  before.require_back();
}

TEST_CASE("agents of the broker's own system may live on, and hold its last handle", "[system][lifetimes]") {
  resources before;
  temp_dir folder;
  for (auto i = 0; i < 5; ++i) {
    auto host = std::make_unique<broker>(must(broker::open(config_of(folder.path()))));
    auto db = std::make_unique<database>(must(host->open_database("app.db")));
    auto ended = std::make_shared<std::promise<caf::error>>();
    run_in_new_thread([&] {
      host->system().spawn([d = *db, ended](caf::event_based_actor* self) {
        self->delayed_send(self, 50ms, caf::tick_atom_v);
        self->become([self, d, ended](caf::tick_atom) {
          ended->set_value(d.write(insert(1)).error());
          self->quit();
        });
      });
    });
    db.reset();
    {
      watchdog limit{"agents that live on"};
      host.reset();
    }
    CHECK(code_of(ended->get_future().get()) == errc::unavailable);
  }
  before.require_back();
}

TEST_CASE("handles outlive the broker and the host's system, and fail then", "[system][lifetimes]") {
  fixture f{home_threads()};
  auto db = *f.db;
  auto buffer = f.host->buffer();
  auto logs = f.host->logs();
  auto rows = must(db.open_cursor(many_rows()));
  must(rows->next());
  auto listener = GENERATE(true, false);
  if (listener)
    f.host->shutdown();
  else
    f.host.reset();
  auto check_all = [&] {
    require_unavailable(db.write(insert(1)));
    auto written = db.write_async(insert(1));
    require_unavailable(answer_of(written));
    require_unavailable(db.read(count_rows()));
    auto read = db.read_async(count_rows());
    require_unavailable(answer_of(read));
    require_unavailable(db.open_cursor(many_rows()));
    require_unavailable(rows->next());
    require_unavailable(buffer.put(keep(1)));
    auto put = buffer.put_async(keep(1));
    require_unavailable(answer_of(put));
    require_unavailable(buffer.get({{"app.db", "kept", {{"id", 1}}}, {}, {}}));
    require_unavailable(buffer.flush());
    require_unavailable(buffer.rejected());
    require_unavailable(buffer.discard());
    logs.log(log_level::info, "host", "nobody hears this");
    db.listen({});
    db.unlisten({});
    db.status();
    CHECK(db.name() == "app.db");
  };
  check_all();
  f.host.reset();
  f.system.reset();
  check_all();
}

TEST_CASE("a shut-down broker refuses everything", "[system][lifetimes]") {
  fixture f{home_threads()};
  CHECK_FALSE(f.host->shutdown());
  require_unavailable(f.host->open_database("app.db"));
  require_unavailable(f.host->find_database("app.db"));
  require_unavailable(f.host->audit({}));
  require_unavailable(f.host->verify_audit());
  require_unavailable(f.host->recent_logs({}));
  require_unavailable(f.host->running_reads());
  require_unavailable(f.host->open_cursors());
  f.host->log(log_level::info, "host", "nobody hears this");
  f.host->drain();
  f.host->running_writes();
  CHECK_FALSE(f.host->still_leads());
  CHECK_FALSE(f.host->shutdown());
}

TEST_CASE("a second shutdown returns when the first is done", "[system][lifetimes]") {
  fixture f;
  int64_t last = 0;
  while (last < 5'000)
    f.db->write_async(insert(++last));
  auto ends_by_destruction = GENERATE(true, false);
  std::promise<void> begun;
  std::thread first{[&] {
    begun.set_value();
    f.host->shutdown();
  }};
  begun.get_future().wait();
  watchdog limit{"two threads that shut down"};
  if (ends_by_destruction) {
    // Waits until the other thread is in the call. A full queue refuses writes as well, which proves nothing.
    await([&] {
      auto written = f.db->write(insert(++last));
      return !written && refused(written).code == errc::unavailable;
    });
    f.host.reset();
  } else
    f.host->shutdown();
  auto config = config_of(f.folder.path());
  config.lock_wait = 0ms;
  must(broker::open(config));
  first.join();
}

TEST_CASE("an agent ends its broker while other threads wait for it", "[system][lifetimes]") {
  fixture f{home_threads()};
  auto notes = std::make_shared<tally>();
  std::vector<std::thread> threads;
  for (auto i = 0; i < 16; ++i)
    threads.emplace_back([db = *f.db, notes] {
      for (auto more = true; more;) {
        auto id = notes->next();
        more = notes->note(db.write(insert(id)), id) && notes->note(db.read(count_rows()));
      }
    });
  await([&] { return notes->successes() > 200; });
  std::promise<void> ended;
  {
    watchdog limit{"an agent that ends its broker"};
    run_in_new_thread([&] {
      f.host->system().spawn([&f, &ended](caf::event_based_actor*) {
        f.host.reset();
        ended.set_value();
      });
    });
    ended.get_future().wait();
    for (auto& each : threads)
      each.join();
  }
  CHECK_NOTHROW(notes->require_typed());
  f.open();
  for (auto id : notes->acknowledged())
    CHECK(must(f.db->read("checker", "SELECT id FROM t WHERE id = ?", {id})).rows->size() == 1);
}

TEST_CASE("an agent opens, shuts down and destroys a broker", "[system][lifetimes]") {
  temp_dir folder;
  resources before;
  {
    host_system system{1};
    auto in_own_system = GENERATE(true, false);
    std::promise<void> ended;
    watchdog limit{"an agent that has a broker"};
    run_in_new_thread([&] {
      system.get().spawn([&](caf::event_based_actor* self) {
        auto host = must(in_own_system ? broker::open(config_of(folder.path()))
                                       : broker::open(self->system(), config_of(folder.path())));
        auto db = must(host.open_database("app.db"));
        must(db.write(make_tables()));
        must(db.write(insert(1)));
        must(front_door::open(host, {}));
        CHECK_FALSE(host.shutdown());
        ended.set_value();
      });
    });
    ended.get_future().wait();
  }
  before.require_back();
}

TEST_CASE("every future ends that was under way when the broker was destroyed", "[system][lifetimes]") {
  fixture f{home_threads()};
  std::vector<std::future<caf::expected<write_result>>> futures;
  auto notes = std::make_shared<tally>();
  for (auto i = 1; i <= 3'000; ++i) {
    auto future = f.db->write_async(insert(i));
    // Drops every third future.
    if (i % 3 != 0)
      futures.push_back(std::move(future));
    static_cast<void>(f.db->read_async(count_rows()));
  }
  {
    watchdog limit{"futures under way"};
    f.db.reset();
    f.host.reset();
    f.system.reset();
  }
  int64_t done = 0;
  for (auto& each : futures)
    done += notes->note(answer_of(each)) ? 1 : 0;
  CHECK_NOTHROW(notes->require_typed());
  CHECK(integer_of(f.folder / "app.db", "SELECT count(*) FROM t") >= done);
}

TEST_CASE("a folder that replaces that of a running broker is another folder, also by its inode",
          "[system][lifetimes]") {
  temp_dir parent;
  auto root = parent / "store";
  std::filesystem::create_directory(root);
  broker_config config;
  config.root = root;
  auto old = must(broker::open(config));
  auto identity = old.root().identity();
  for (auto i = 0; i < 20; ++i) {
    std::filesystem::remove_all(root);
    std::filesystem::create_directory(root);
    CHECK(must(store_root::look_up(root)).identity() != identity);
  }
  CHECK_FALSE(old.still_leads());
  auto fresh = must(broker::open(config));
  CHECK(fresh.still_leads());
}

TEST_CASE("a host may open and close 200 brokers in its system", "[system][lifetimes]") {
  host_system system{2};
  temp_dir folder;
  auto once = [&] {
    auto host = must(broker::open(system.get(), config_of(folder.path())));
    must(must(host.open_database("app.db")).write(make_tables()));
    host.log(log_level::warning, "host", "a line");
  };
  for (auto i = 0; i < 10; ++i)
    once();
  resources before;
  for (auto i = 0; i < 190; ++i)
    once();
  CHECK_NOTHROW(before.require_back());
}

} // namespace sluice::test::lifetimes_test
