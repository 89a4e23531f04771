#pragma once

#include "runtime/broker/own_system.hpp"
#include "runtime/client/client.hpp"
#include "runtime/server/front_door.hpp"
#include "tests/system/lifetimes.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

/// A host with everything that sluice gives it, and requests under way; it is destroyed piece by piece, in any order.
namespace sluice::test::lifetimes {

enum class system_kind : uint8_t { broker_system, one_thread, eight_threads };

inline std::string name_of(system_kind kind) {
  return std::array{"own system", "host's system of 1 thread", "host's system of 8 threads"}[static_cast<size_t>(kind)];
}

/// `client` leads a store of its own in this process, `door_client` is a client of the front door, `system` is the
/// host's.
enum class part : uint8_t { broker, database, client, door_client, buffer, door, listener, future, cursor, system };

inline constexpr std::array part_names{"broker", "database", "client", "door client", "buffer",
                                       "door",   "listener", "future", "cursor",      "system"};

using order = std::vector<part>;

inline std::string name_of(const order& order) {
  std::string result;
  for (auto each : order)
    result += (result.empty() ? "" : ", ") + std::string{part_names[static_cast<size_t>(each)]};
  return result;
}

/// The orders number 2k and 2k + 1 are each other's reverse, so two of them have every part before every other one.
inline order nth_order(uint64_t seed, bool with_system) {
  order result(part_names.size() - (with_system ? 0 : 1));
  for (size_t i = 0; i < result.size(); ++i)
    result[i] = static_cast<part>(i);
  std::mt19937_64 random{seed / 2};
  std::shuffle(result.begin(), result.end(), random);
  if (seed % 2 == 1)
    std::reverse(result.begin(), result.end());
  return result;
}

/// An actor system of the host. A separate thread creates it, so that any thread can destroy it.
class host_system {
public:
  explicit host_system(size_t threads) {
    config_.set("scheduler.max-threads", threads);
    add_message_types(config_);
    run_in_new_thread([this] { system_.emplace(config_); });
  }
  caf::actor_system& get() { return *system_; }

private:
  caf::actor_system_config config_;
  std::optional<caf::actor_system> system_;
};

inline invalidation_listener::behavior_type listening() {
  return {[](const invalidation&) {}};
}

class situation {
public:
  situation(system_kind where, const std::filesystem::path& folder)
    : root_(folder / "store"), own_root_(folder / "client") {
    std::filesystem::create_directories(root_);
    std::filesystem::create_directories(own_root_);
    if (where != system_kind::broker_system)
      system_ = std::make_unique<host_system>(where == system_kind::one_thread ? 1 : 8);
    elsewhere_ = std::make_unique<host_system>(1);
    open();
    // CAF ties the thread that spawns actors to their system.
    run_in_new_thread([this] { spawn_actors(); });
    start_threads();
    call_without_waiting();
    await([this] { return tally_->successes() > 50; });
  }
  situation(const situation&) = delete;
  situation& operator=(const situation&) = delete;
  ~situation() {
    for (auto& thread : threads_)
      if (thread.joinable())
        thread.join();
  }

  /// The actor system of the broker.
  caf::actor_system& system() { return broker_->system(); }
  /// An actor system without a broker.
  caf::actor_system& elsewhere() { return elsewhere_->get(); }
  bool has_system() const { return system_ != nullptr; }

  void end(part part) {
    switch (part) {
    case part::broker: broker_.reset(); break;
    case part::database: database_.reset(); break;
    case part::client: client_.reset(); break;
    case part::door_client: door_client_.reset(); break;
    case part::buffer: buffer_.reset(); break;
    case part::door: door_.reset(); break;
    case part::listener: end_listener(); break;
    case part::future:
      futures_.erase(futures_.begin(), futures_.begin() + static_cast<ptrdiff_t>(futures_.size() / 2));
      break;
    case part::cursor: cursor_.reset(); break;
    case part::system: end_system(); break;
    }
  }

  void end_all(const order& parts) {
    for (auto part : parts)
      end(part);
  }

  /// Waits for the requests under way, after all parts have ended.
  void finish_all() {
    for (auto& thread : threads_)
      thread.join();
    for (auto& [future, id] : futures_) {
      if (future.wait_for(time_to_end) != std::future_status::ready)
        throw std::runtime_error("a future is never fulfilled");
      tally_->note(future.get(), id);
    }
    for (auto& [future, id] : client_futures_) {
      if (future.wait_for(time_to_end) != std::future_status::ready)
        throw std::runtime_error("a future of a client is never fulfilled");
      client_tally_->note(future.get(), id);
    }
    await([this] { return *agents_ == 0; });
    listener_ = nullptr;
    system_.reset();
    elsewhere_.reset();
    tally_->require_typed();
    client_tally_->require_typed();
  }

  /// Checks that both stores can be led again, and have every acknowledged write.
  void require_writes() const {
    require_rows(root_, tally_->acknowledged());
    require_rows(own_root_, client_tally_->acknowledged());
  }

private:
  using written = std::pair<std::future<caf::expected<write_result>>, int64_t>;

  template <class Event> static void await(Event has_come) {
    auto give_up = std::chrono::steady_clock::now() + time_to_end;
    while (!has_come()) {
      if (std::chrono::steady_clock::now() > give_up)
        throw std::runtime_error("what was waited for has not happened");
      std::this_thread::sleep_for(1ms);
    }
  }

  void open() {
    auto config = config_of(root_);
    broker_ = std::make_unique<broker>(
      need(system_ ? broker::open(system_->get(), std::move(config)) : broker::open(std::move(config))));
    database_ = need(broker_->open_database("app.db"));
    need(database_->write(make_tables()));
    buffer_ = broker_->buffer();
    door_ = need(front_door::open(*broker_, {}));
    client_options options;
    options.start_broker = false;
    client_ = need(open_client(own_root_, options));
    need(client_->write(make_tables()));
    options.require_broker = true;
    door_client_ = need(open_client(root_, options));
    cursor_ = need(database_->open_cursor(many_rows()));
    need(cursor_->next());
  }

  void spawn_actors() {
    auto& system = broker_->system();
    for (auto i = 0; i < 2; ++i) {
      *agents_ += 2;
      system.spawn(write_on, *database_, tally_, agents_, stop_);
      system.spawn(put_on, *buffer_, tally_, agents_, stop_);
    }
    // Of an actor that is not to end with the broker's own system, no handle may be left after that.
    listener_ = (system_ ? *system_ : *elsewhere_).get().spawn(listening);
    database_->listen(listener_);
  }

  static void write_on(caf::event_based_actor* self, const database& db, std::shared_ptr<tally> notes,
                       std::shared_ptr<std::atomic<int>> agents, std::shared_ptr<std::atomic<bool>> stop) {
    auto id = notes->next();
    db.write(self, insert(id))
      .then(
        [=](const write_result&) {
          notes->note_success(id);
          if (*stop)
            --*agents;
          else
            write_on(self, db, notes, agents, stop);
        },
        [=](const caf::error& error) {
          notes->note_failure(error);
          --*agents;
        });
  }

  static void put_on(caf::event_based_actor* self, const write_buffer& buffer, std::shared_ptr<tally> notes,
                     std::shared_ptr<std::atomic<int>> agents, std::shared_ptr<std::atomic<bool>> stop) {
    buffer.put(self, keep(notes->next() % 100))
      .then(
        [=](const buffer_receipt&) {
          notes->note_success(0);
          if (*stop)
            --*agents;
          else
            put_on(self, buffer, notes, agents, stop);
        },
        [=](const caf::error& error) {
          notes->note_failure(error);
          --*agents;
        });
  }

  template <class Call> void call_until_over(Call call) {
    threads_.emplace_back([call = std::move(call)]() mutable {
      for (;;)
        if (auto error = call(); error && is_over(error))
          return;
    });
  }

  void start_threads() {
    for (auto i = 0; i < 2; ++i)
      call_until_over([db = *database_, notes = tally_] {
        auto id = notes->next();
        auto request = db.write(insert(id));
        return notes->note(request, id) ? caf::error{} : request.error();
      });
    call_until_over([db = *database_, notes = tally_] {
      auto rows = db.read(count_rows());
      return notes->note(rows) ? caf::error{} : rows.error();
    });
    call_until_over([buffer = *buffer_, notes = tally_] {
      auto result = buffer.put(keep(notes->next() % 100));
      return notes->note(result) ? caf::error{} : result.error();
    });
  }

  void call_without_waiting() {
    for (auto i = 0; i < 50; ++i) {
      auto id = tally_->next();
      futures_.emplace_back(database_->write_async(insert(id)), id);
      id = tally_->next();
      futures_.emplace_back(door_client_->write_async(insert(id)), id);
      id = client_tally_->next();
      client_futures_.emplace_back(client_->write_async(insert(id)), id);
      // The futures are dropped.
      static_cast<void>(database_->read_async(count_rows()));
      static_cast<void>(buffer_->put_async(keep(i)));
      static_cast<void>(door_client_->read_async(count_rows()));
    }
  }

  void end_listener() {
    if (database_)
      database_->unlisten(listener_);
    caf::anon_send_exit(listener_, caf::exit_reason::user_shutdown);
    listener_ = nullptr;
  }

  // A host ends its actors before their system, which waits for them.
  void end_system() {
    if (!system_)
      return;
    *stop_ = true;
    caf::anon_send_exit(listener_, caf::exit_reason::user_shutdown);
    listener_ = nullptr;
    system_.reset();
  }

  static void require_rows(const std::filesystem::path& root, const std::set<int64_t>& acknowledged) {
    auto again = need(broker::open(config_of(root)));
    auto db = need(again.open_database("app.db"));
    for (auto each : acknowledged) {
      auto rows = need(db.read("checker", "SELECT count(*) FROM t WHERE id = ?", {each})).rows;
      if (*rows->at(0, 0).integer() != 1)
        throw std::runtime_error("a write that was acknowledged is not in the file: " + std::to_string(each));
    }
  }

  const std::filesystem::path root_;
  const std::filesystem::path own_root_;
  const std::shared_ptr<tally> tally_ = std::make_shared<tally>();
  const std::shared_ptr<tally> client_tally_ = std::make_shared<tally>();
  const std::shared_ptr<std::atomic<int>> agents_ = std::make_shared<std::atomic<int>>(0);
  const std::shared_ptr<std::atomic<bool>> stop_ = std::make_shared<std::atomic<bool>>(false);
  std::unique_ptr<host_system> system_;
  std::unique_ptr<host_system> elsewhere_;
  std::unique_ptr<broker> broker_;
  std::optional<database> database_;
  std::unique_ptr<client> client_;
  std::unique_ptr<client> door_client_;
  std::optional<write_buffer> buffer_;
  std::unique_ptr<front_door> door_;
  invalidation_listener listener_;
  std::vector<written> futures_;
  std::vector<written> client_futures_;
  std::unique_ptr<cursor> cursor_;
  std::vector<std::thread> threads_;
};

} // namespace sluice::test::lifetimes
