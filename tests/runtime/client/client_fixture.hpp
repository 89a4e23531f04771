#pragma once

#include "runtime/client/client.hpp"
#include "runtime/store/store_lock.hpp"
#include "tests/runtime/client/fake_leader.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

namespace sluice::test {

using namespace std::chrono_literals;
using nlohmann::json;

// A store that the test leads: no client starts a broker for it.
struct client_fixture {
  temp_dir dir;
  store_root root;
  std::optional<store_lock> lock;

  client_fixture() : root(open_root()) {
    auto taken = store_lock::acquire(root, 0ms);
    REQUIRE(taken);
    lock = std::move(*taken);
  }

  store_root open_root() const {
    auto result = store_root::open(dir.path());
    REQUIRE(result);
    return std::move(*result);
  }

  std::unique_ptr<fake_leader> lead(fake_leader::script answer, fake_leader::script greet = {}) const {
    return std::make_unique<fake_leader>(root.socket_path(), std::move(answer), std::move(greet));
  }

  std::unique_ptr<client> open(client_options options = {}) const {
    options.start_broker = false;
    auto client = open_client(dir.path(), std::move(options));
    REQUIRE(client);
    return std::move(*client);
  }
};

inline write_request insert(std::chrono::milliseconds deadline = 20s) {
  write_request result;
  result.db = "app.db";
  result.agent = "alice";
  result.statements.push_back({"INSERT INTO t VALUES (?)", {1}});
  result.deadline = deadline;
  return result;
}

inline read_request select() {
  read_request result;
  result.db = "app.db";
  result.agent = "alice";
  result.query = {"SELECT n FROM t", {}};
  result.limits.timeout = 20s;
  return result;
}

inline failure failure_of(const caf::expected<write_result>& result) {
  REQUIRE_FALSE(result);
  return describe(result.error());
}

inline const json& params(const json& request) { return request.at("params"); }

// Sends a request in the blocking and in the asynchronous form, in turn.
inline caf::expected<write_result> write_by(bool waiting, client& client, write_request request) {
  return waiting ? client.write(std::move(request)) : client.write_async(std::move(request)).get();
}

// Loses the first requests in some way, and answers the others.
inline fake_leader::script after(int count, std::function<void(const json&, fake_connection&)> first) {
  return [left = std::make_shared<std::atomic<int>>(count), first](const json& request, fake_connection& from) {
    if ((*left)-- > 0)
      first(request, from);
    else
      from.answer(request, committed(7));
  };
}

inline void hang_up(const json&, fake_connection& from) { from.hang_up(); }

} // namespace sluice::test
