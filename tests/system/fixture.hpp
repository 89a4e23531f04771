#pragma once

#include "runtime/broker/broker.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <future>
#include <memory>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace sluice::test {

/// A broker with defaults on `root`; `change` may set what the test needs.
template <class Change> broker open_broker(const std::filesystem::path& root, Change change) {
  broker_config config;
  config.root = root;
  change(config);
  auto result = broker::open(config);
  if (!result)
    FAIL(describe(result.error()).message);
  return std::move(*result);
}

inline broker open_broker(const std::filesystem::path& root) {
  return open_broker(root, [](broker_config&) {});
}

/// Returns the value, or fails the test with the error.
template <class T> T must(caf::expected<T> result) {
  if (!result)
    FAIL(std::string{to_string(describe(result.error()).code)} + ": " + describe(result.error()).message);
  return std::move(*result);
}

inline void must(caf::expected<void> result) {
  if (!result)
    FAIL(std::string{to_string(describe(result.error()).code)} + ": " + describe(result.error()).message);
}

/// Returns the error, or fails the test if there is none.
template <class T> failure refused(const caf::expected<T>& result) {
  if (result)
    FAIL("this was to be refused, and was not");
  return describe(result.error());
}

/// Returns the answer, or fails the test when there is none after a minute.
template <class T> caf::expected<T> answer_of(std::future<caf::expected<T>>& future) {
  if (future.wait_for(std::chrono::minutes{1}) != std::future_status::ready)
    FAIL("no answer within a minute");
  return future.get();
}

/// Polls until a condition holds; fails the test when it does not hold after a minute.
template <class Event> void await(Event has_come) {
  auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes{1};
  while (!has_come()) {
    if (std::chrono::steady_clock::now() > give_up)
      FAIL("what was waited for has not happened within a minute");
    std::this_thread::yield();
  }
}

inline write_request write_of(std::string agent, std::vector<statement> statements, std::string key = {}) {
  write_request result;
  result.agent = std::move(agent);
  result.statements = std::move(statements);
  result.idempotency_key = std::move(key);
  return result;
}

inline read_request read_of(std::string agent, sql_text sql, freshness mode = freshness::cached) {
  read_request result;
  result.agent = std::move(agent);
  result.query.sql = std::move(sql);
  result.freshness = mode;
  return result;
}

/// Queries a file without a broker; returns the first column of every row.
inline std::vector<value> column_of(const std::filesystem::path& file, const std::string& sql) {
  auto db = must(sqlite::connection::open(file, {}));
  auto stmt = must(sqlite::prepared_statement::prepare(db, sql));
  std::vector<value> result;
  while (must(stmt.step()))
    result.push_back(stmt.column(0));
  return result;
}

inline int64_t integer_of(const std::filesystem::path& file, const std::string& sql) {
  auto rows = column_of(file, sql);
  REQUIRE(rows.size() == 1);
  REQUIRE(rows[0].integer());
  return *rows[0].integer();
}

inline void require_sound(const std::filesystem::path& file) {
  auto rows = column_of(file, "PRAGMA integrity_check");
  REQUIRE(rows.size() == 1);
  REQUIRE(rows[0] == value{"ok"});
}

/// A program that writes without the broker.
class external_process {
public:
  explicit external_process(const std::filesystem::path& file) {
    sqlite::connection_options options;
    options.mode = sqlite::open_mode::read_write_create;
    db_ = std::make_unique<sqlite::connection>(must(sqlite::connection::open(file, options)));
  }

  void run(const char* sql) { must(db_->exec(sql)); }

private:
  std::unique_ptr<sqlite::connection> db_;
};

/// A broker on a folder of its own, with the database `app.db`.
struct one_database {
  one_database() : one_database([](broker_config&) {}) {}

  template <class Change>
  explicit one_database(Change change)
    : folder(), host(open_broker(folder.path(), change)), db(must(host.open_database("app.db"))) {}

  std::filesystem::path file() const { return folder.path() / "app.db"; }

  int64_t number(const std::string& sql) const {
    auto answer = must(db.read("tester", sql));
    REQUIRE(answer.rows->size() == 1);
    REQUIRE(answer.rows->at(0, 0).integer());
    return *answer.rows->at(0, 0).integer();
  }

  /// Checks that writes and reads work, and that the file is sound.
  void require_serving() const {
    must(db.write("tester", "CREATE TABLE IF NOT EXISTS still_there (n INTEGER NOT NULL)"));
    auto before = number("SELECT count(*) FROM still_there");
    must(db.write("tester", "INSERT INTO still_there (n) VALUES (1)"));
    REQUIRE(number("SELECT count(*) FROM still_there") == before + 1);
    require_sound(file());
  }

  temp_dir folder;
  broker host;
  database db;
};

/// A program with pipes to its standard input and from its standard output.
class child_process {
public:
  child_process(std::string program, std::vector<std::string> arguments) {
    int in[2];
    int out[2];
    REQUIRE(pipe2(in, O_CLOEXEC) == 0);
    REQUIRE(pipe2(out, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    std::vector<char*> argv{program.data()};
    for (auto& argument : arguments)
      argv.push_back(argument.data());
    argv.push_back(nullptr);
    REQUIRE(posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    in_ = in[1];
    out_ = fdopen(out[0], "r");
  }

  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  ~child_process() {
    wait();
    std::fclose(out_);
  }

  /// The next line without its end; empty at the end of the output.
  std::string line() {
    std::string result;
    for (auto c = std::fgetc(out_); c != EOF && c != '\n'; c = std::fgetc(out_))
      result += static_cast<char>(c);
    return result;
  }

  /// Writes to its input.
  void tell(const std::string& text) { REQUIRE(write(in_, text.data(), text.size()) == ssize_t(text.size())); }

  /// Sends SIGKILL; does nothing after the process was waited for.
  void kill() {
    if (pid_ > 0)
      ::kill(pid_, SIGKILL);
  }

  pid_t pid() const noexcept { return pid_; }

  /// Ends its input.
  void release() {
    if (in_ >= 0)
      close(std::exchange(in_, -1));
  }

  /// Its exit status, or -1 when it did not exit by itself.
  int wait() {
    release();
    if (pid_ > 0 && waitpid(std::exchange(pid_, 0), &status_, 0) < 0)
      status_ = -1;
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
  }

private:
  pid_t pid_ = 0;
  int status_ = 0;
  int in_ = -1;
  std::FILE* out_ = nullptr;
};

/// A size that is small by default and can be raised: `SLUICE_SOAK=20` makes soak tests twenty times as long.
inline int soak(int size) {
  auto* factor = std::getenv("SLUICE_SOAK");
  return size * (factor ? std::max(1, std::atoi(factor)) : 1);
}

} // namespace sluice::test
