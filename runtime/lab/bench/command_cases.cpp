#include "runtime/lab/bench/bench_fixture.hpp"
#include "runtime/lab/bench/cases.hpp"
#include "runtime/lab/bench/goals.hpp"
#include "runtime/lab/bench/process.hpp"
#include "runtime/lab/bench/server_process.hpp"

#include <cstdlib>
#include <stdexcept>
#include <thread>

namespace sluice::bench {

namespace {

using namespace std::chrono_literals;

constexpr uint64_t least_commands_per_round = 2;
// More failures than this in a round end the benchmark with an exception.
constexpr uint64_t most_failures_per_round = 5;

constexpr const char* insert_text = "INSERT INTO items (agent, body) VALUES (1, 'x')";
constexpr const char* select_text = "SELECT body FROM items WHERE id = 42";

// Runs `command` repeatedly until `duration` is over, and measures each run from the start of the process to its exit.
// Calls `before` before each run, outside the measured time.
measurement repeat_command(std::chrono::milliseconds duration, const std::vector<std::string>& command,
                           const std::function<void()>& before) {
  measurement result;
  resource_usage used;
  auto stop_at = bench_clock::now() + duration;
  while (bench_clock::now() < stop_at || result.completed < least_commands_per_round) {
    before();
    auto begin = bench_clock::now();
    child_process process{command};
    auto status = process.wait();
    auto end = bench_clock::now();
    used += process.used();
    result.note(status == 0, begin, end, bench_clock::time_point::max());
    result.elapsed += std::chrono::duration<double>(end - begin).count();
    if (result.errors > most_failures_per_round)
      throw std::runtime_error{command[0] + " " + command[1] + " fails with status " + std::to_string(status)};
  }
  result.seconds = result.elapsed;
  result.clients = used;
  return result;
}

// The time limit of a command. On a busy machine a broker may take seconds to end, and the next one waits for it.
constexpr const char* time_limit_ms = "30000";

// The `sluice` program that users start: beside this program in a build folder, in `bin/` of an installation.
std::string sluice_program() {
  auto self = std::filesystem::read_symlink("/proc/self/exe");
  auto beside = self.parent_path() / "sluice";
  return std::filesystem::exists(beside) ? beside : self.parent_path().parent_path().parent_path() / "bin" / "sluice";
}

std::vector<std::string> sluice_command(const std::string& name, const std::filesystem::path& folder, const char* sql) {
  return {sluice_program(),
          name,
          (folder / items_file).string(),
          sql,
          "--agent",
          "bench",
          name == "exec" ? "--deadline" : "--timeout",
          time_limit_ms};
}

contender with_running_broker(const char* name, const char* command, const char* sql) {
  return {name, contender_kind::sluice, [=](const std::filesystem::path& folder) -> session {
            fill_file(folder / items_file);
            auto server = std::make_shared<server_process>(server_kind::broker_full, folder);
            return [=](const bench_round& round) {
              auto before = server->report();
              auto result = repeat_command(round.duration, sluice_command(command, folder, sql), [] {});
              result.broker = server->report().used - before.used;
              return result;
            };
          }};
}

// Lets each command of this process start a broker that ends as soon as it is idle, so that the next command must start
// one as well.
class short_lived_brokers {
public:
  explicit short_lived_brokers(const std::filesystem::path& folder) : lock_(folder / ".sluice" / "broker.lock") {
    setenv("SLUICE_LINGER_MS", "1", 1);
    setenv("SLUICE_PROGRAM", "/proc/self/exe", 1);
  }
  short_lived_brokers(const short_lived_brokers&) = delete;
  short_lived_brokers& operator=(const short_lived_brokers&) = delete;
  ~short_lived_brokers() {
    await_end();
    unsetenv("SLUICE_LINGER_MS");
    unsetenv("SLUICE_PROGRAM");
  }

  void await_end() const {
    while (std::filesystem::exists(lock_))
      std::this_thread::sleep_for(1ms);
  }

private:
  std::filesystem::path lock_;
};

contender starting_a_broker(const char* name, const char* command, const char* sql) {
  return {name, contender_kind::sluice, [=](const std::filesystem::path& folder) -> session {
            fill_file(folder / items_file);
            return [=](const bench_round& round) {
              short_lived_brokers brokers{folder};
              return repeat_command(round.duration, sluice_command(command, folder, sql), [&] { brokers.await_end(); });
            };
          }};
}

contender sqlite3_program(const char* sql) {
  return {"sqlite3", contender_kind::direct, [=](const std::filesystem::path& folder) -> session {
            fill_file(folder / items_file);
            return [=](const bench_round& round) {
              return repeat_command(round.duration, {"sqlite3", (folder / items_file).string(), sql}, [] {});
            };
          }};
}

} // namespace

bench_case commands_writing() {
  bench_case result;
  result.name = "command-exec";
  result.title = "one write per command, from its start to its end, synchronous=FULL";
  result.contenders = {with_running_broker("sluice exec, broker running", "exec", insert_text),
                       starting_a_broker("sluice exec, starting a broker", "exec", insert_text),
                       sqlite3_program(insert_text)};
  result.goals = {time_goal("of the time of the sqlite3 program, with a running broker", 0, 2, 0.8),
                  time_goal("times the time of the sqlite3 program, starting a broker", 1, 2, 3)};
  return result;
}

bench_case commands_reading() {
  bench_case result;
  result.name = "command-query";
  result.title = "one read per command, from its start to its end";
  result.contenders = {with_running_broker("sluice query, broker running", "query", select_text),
                       starting_a_broker("sluice query, starting a broker", "query", select_text),
                       sqlite3_program(select_text)};
  result.goals = {time_goal("of the time of the sqlite3 program, with a running broker", 0, 2, 0.8)};
  return result;
}

} // namespace sluice::bench
