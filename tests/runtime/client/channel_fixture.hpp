#pragma once

#include "runtime/client/channel.hpp"
#include "runtime/client/connect.hpp"
#include "tests/runtime/client/fake_leader.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

namespace sluice::test {

inline channel::time_point in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

inline void echo(const nlohmann::json& request, fake_connection& from) {
  from.answer(request, request.value("params", nlohmann::json{}));
}

/// A path for a `fake_leader`, and channels to it.
struct channel_fixture {
  temp_dir dir;
  std::filesystem::path path = dir / "s";

  std::unique_ptr<channel> open(silence_policy silence = {}) const {
    auto connection = connect_to(path);
    REQUIRE(connection);
    REQUIRE(*connection);
    return std::make_unique<channel>(std::move(**connection), std::nullopt, std::move(silence));
  }
};

} // namespace sluice::test
