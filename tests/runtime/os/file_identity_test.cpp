#include "runtime/os/file_identity.hpp"

#include "messages/error.hpp"
#include "runtime/os/descriptor.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <fstream>
#include <unistd.h>

namespace sluice::test::file_identity_test {

namespace fs = std::filesystem;

namespace {

void make_file(const fs::path& path) { std::ofstream{path} << "text"; }

} // namespace

TEST_CASE("a file keeps its identity under another name", "[file_identity]") {
  temp_dir dir;
  make_file(dir.path() / "a");
  auto before = identity_of(dir.path() / "a");
  REQUIRE(before);
  fs::rename(dir.path() / "a", dir.path() / "b");
  CHECK(identity_of(dir.path() / "b") == before);
  fs::create_hard_link(dir.path() / "b", dir.path() / "c");
  CHECK(identity_of(dir.path() / "c") == before);
  CHECK_FALSE(identity_of(dir.path() / "a"));
}

TEST_CASE("a copy, a replacement and a link have identities of their own", "[file_identity]") {
  temp_dir dir;
  make_file(dir.path() / "a");
  descriptor kept{open((dir.path() / "a").c_str(), O_RDONLY | O_CLOEXEC)};
  auto original = identity_of(dir.path() / "a");
  fs::copy_file(dir.path() / "a", dir.path() / "copy");
  fs::create_symlink("a", dir.path() / "link");
  CHECK(identity_of(dir.path() / "copy") != original);
  CHECK(identity_of(dir.path() / "link") != original);
  fs::rename(dir.path() / "copy", dir.path() / "a");
  CHECK(identity_of(dir.path() / "a") != original);
  CHECK(identity_of(kept.get()) == original);
}

TEST_CASE("a missing file has no identity", "[file_identity]") {
  temp_dir dir;
  CHECK_FALSE(identity_of(dir.path() / "absent"));
  CHECK_FALSE(identity_of(-1));
}

TEST_CASE("an identity reads back as it was written", "[file_identity]") {
  file_identity identity{64'769, UINT64_MAX};
  auto json = as_json(identity);
  CHECK(json.dump() == R"({"device":64769,"inode":18446744073709551615})");
  auto back = file_identity_from_json(json);
  REQUIRE(back);
  CHECK(*back == identity);
}

TEST_CASE("an invalid identity is refused", "[file_identity]") {
  for (const auto* text : {"null", "[]", "7", "{}", R"({"device":1})", R"({"device":-1,"inode":2})",
                           R"({"device":1,"inode":"2"})", R"({"device":1.5,"inode":2})"}) {
    CAPTURE(text);
    auto result = file_identity_from_json(nlohmann::json::parse(text));
    REQUIRE_FALSE(result);
    CHECK(code_of(result.error()) == errc::invalid_request);
  }
}

} // namespace sluice::test::file_identity_test
