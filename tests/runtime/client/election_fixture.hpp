#pragma once

#include "runtime/client/election.hpp"
#include "runtime/client/start_broker.hpp"
#include "tests/runtime/client/channel_fixture.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>

namespace sluice::test {

using namespace std::chrono_literals;
using nlohmann::json;
namespace fs = std::filesystem;

struct election_fixture {
  temp_dir dir;
  store_root root;

  election_fixture() : root(open_root()) {}

  store_root open_root() const {
    fs::create_directory(dir / "root");
    auto result = store_root::open(dir / "root");
    REQUIRE(result);
    REQUIRE(result->make_folder());
    return std::move(*result);
  }

  store_lock lock() const {
    auto result = store_lock::acquire(root, 0ms);
    REQUIRE(result);
    return std::move(*result);
  }

  bool is_free() const {
    auto result = store_lock::try_acquire(root);
    REQUIRE(result);
    return result->has_value();
  }

  // Writes a program that runs this script when it is started as a broker.
  fs::path program(const std::string& script) const {
    auto path = dir / "sluice";
    std::ofstream{path} << "#!/bin/sh\n" << script << "\n";
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }

  std::string said(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream{dir / name}.rdbuf();
    return text.str();
  }

  election_options options(const fs::path& program = "/missing", bool start = true) const {
    return {root, {}, start, program, 10s};
  }
};

inline void answer_nothing(const json&, fake_connection&) {}

inline broker_start start(const election_fixture& r, const fs::path& program, store_lock& lock,
                          std::chrono::milliseconds timeout = 10s) {
  return start_broker(program, r.root, lock, timeout);
}

using state = broker_start::state;

inline errc code(const caf::expected<discovery_result>& result) {
  REQUIRE_FALSE(result);
  return code_of(result.error());
}

inline discovery_result found(caf::expected<discovery_result> result) {
  REQUIRE(result);
  return std::move(*result);
}

} // namespace sluice::test
