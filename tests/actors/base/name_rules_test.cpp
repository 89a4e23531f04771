#include "actors/base/name_rules.hpp"

#include "actors/shared/unrecorded_requests.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::names_test {

TEST_CASE("a name has no control characters of terminals or of writing direction") {
  for (const auto* text : {"a\x01", "\n", "a\x7f", "\xc2\x80", "a\xc2\x9b", "\xc2\x9f", "\xd8\x9c", "\xe2\x80\x8e",
                           "a\xe2\x80\x8f", "\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa6", "b\xe2\x81\xa9"}) {
    CHECK(name_error(text) == "holds a control character");
    CHECK(agent_name_error(text));
  }
  // The adjacent code points, and ordinary names, are allowed.
  for (const auto* text : {"", "a b", "\xc2\xa0", "\xd8\x9b", "\xe2\x80\x8d", "\xe2\x80\x90", "\xe2\x80\xaf",
                           "\xe2\x81\xa5", "J\xc3\xbcrgen", "\xd7\x90\xd7\x91"}) {
    CHECK_FALSE(agent_name_error(text));
  }
}

TEST_CASE("a name has 256 bytes of UTF-8 at most") {
  CHECK_FALSE(name_error(std::string(256, 'x')));
  CHECK(name_error(std::string(257, 'x')) == "has 257 bytes; at most 256 are allowed");
  for (const auto* text : {"\xff", "\xc3", "a\xe2\x80", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80"})
    CHECK(name_error(text) == "is not valid UTF-8");
}

TEST_CASE("clients may not use the names of the broker's own agents, in any letter case") {
  for (const auto* text : {"sluice:buffer", "sluice:", "SLUICE:x", "Sluice:Buffer"})
    CHECK(agent_name_error(text)->find("begins with \"sluice:\"") == 0);
  for (const auto* text : {"sluice", "sluice-1", "my sluice:buffer", "sluic:e"})
    CHECK_FALSE(agent_name_error(text));
}

TEST_CASE("a client's name without forbidden characters is a valid agent") {
  CHECK(usable_agent("plain") == "plain");
  CHECK(usable_agent("a\nb\x7f \xe2\x80\xaex\xc2\x9b") == "ab x");
  CHECK(usable_agent("sluice:sluice:buffer") == "buffer");
  // Removing characters may make the reserved prefix appear.
  CHECK(usable_agent("slu\x01ice:buffer") == "buffer");
  CHECK(usable_agent("\xff").empty());
  CHECK(usable_agent(std::string(255, 'x') + "\xc3\xbc") == std::string(255, 'x'));
}

TEST_CASE(
  "a record of a refused request holds valid names only, and the connection's agent if the given one is invalid") {
  unrecorded_request request;
  request.type = request_type::cancel;
  request.agent = "sluice:buffer";
  request.link_agent = "user@1";
  request.db = "sub/..a/a.db";
  request.request_id = "r\n";
  request.correlation_id = "c";
  request.count = 3;
  auto record = record_of(request, "invalid_request", 7);
  CHECK(record.agent == "user@1");
  CHECK(record.db == "sub/..a/a.db");
  CHECK(record.request_id.empty());
  CHECK(record.correlation_id == "c");
  CHECK(to_string(record.type) == "cancel");
  CHECK(record.status == "invalid_request");
  CHECK(record.ts_us == 7);
  CHECK(record.count == 3);
  request.agent = "alice";
  CHECK(record_of(request, "ok", 7).agent == "alice");
  for (const auto* db : {"a\x1b[2J.db", "/etc/passwd", "../a.db", "sub/../../a.db", "..", "a/..", "\xff"}) {
    request.db = db;
    CHECK(record_of(request, "ok", 7).db.empty());
  }
}

TEST_CASE("each type of request has its own name, and an unknown name is of no type") {
  for (size_t i = 0; i <= static_cast<size_t>(request_type::other); ++i)
    CHECK(request_type_of(to_string(static_cast<request_type>(i))) == static_cast<request_type>(i));
  CHECK(request_type_of("from the future") == request_type::other);
}

} // namespace sluice::test::names_test
