#include "runtime/store/private_folder.hpp"

#include "runtime/os/descriptor.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::test::private_folder_test {

using Catch::Contains;
namespace fs = std::filesystem;

namespace {

constexpr uid_t stranger = 60'001;

struct fixture {
  temp_dir dir;
  store_root root;

  fixture() : root(open_root()) {}

  store_root open_root() const {
    auto result = store_root::open(dir.path());
    REQUIRE(result);
    REQUIRE(result->make_folder());
    return std::move(*result);
  }

  fs::path at(const std::string& name) const { return root.folder() / name; }

  void make(const std::string& name, mode_t mode, const std::string& text = "text", uid_t owner = geteuid()) const {
    std::ofstream{at(name)} << text;
    REQUIRE(chmod(at(name).c_str(), mode) == 0);
    if (owner != geteuid())
      REQUIRE(chown(at(name).c_str(), owner, owner) == 0);
  }

  std::string text_of(const std::string& name) const {
    std::ifstream in{at(name)};
    return {std::istreambuf_iterator<char>{in}, {}};
  }

  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& entry : fs::directory_iterator{root.folder()})
      result.push_back(entry.path().filename().native());
    std::sort(result.begin(), result.end());
    return result;
  }

  mode_t mode_of(const std::string& name) const { return static_cast<mode_t>(fs::status(at(name)).permissions()); }
};

} // namespace

TEST_CASE("files that other users cannot reach stay as they are", "[private_folder]") {
  fixture r;
  for (const auto* name : {"audit.db", "audit.db-wal", "audit.db-shm", "token", "broker.json", "broker.log"})
    r.make(name, 0600);
  auto before = identity_of(r.at("audit.db"));
  CHECK(secure_own_files(r.root).empty());
  CHECK(identity_of(r.at("audit.db")) == before);
  CHECK(r.names().size() == 6);
}

TEST_CASE("an own file that others could open is replaced by a private copy with the same content",
          "[private_folder]") {
  fixture r;
  std::string large(3'000'000, 'x');
  r.make("audit.db", 0644, large);
  r.make("audit.db-wal", 0660, "log");
  r.make("audit.db-shm", 0644);
  descriptor foreign_descriptor{open(r.at("audit.db").c_str(), O_RDONLY | O_CLOEXEC)};
  auto notices = secure_own_files(r.root);
  CHECK(notices.size() == 2);
  CHECK(r.names() == std::vector<std::string>{"audit.db", "audit.db-wal"});
  CHECK(r.text_of("audit.db") == large);
  CHECK(r.text_of("audit.db-wal") == "log");
  CHECK(r.mode_of("audit.db") == 0600);
  CHECK(r.mode_of("audit.db-wal") == 0600);
  CHECK(identity_of(foreign_descriptor.get()) != identity_of(r.at("audit.db")));
}

TEST_CASE("an own file with another hard link is replaced by a copy, which the link does not lead to",
          "[private_folder]") {
  fixture r;
  r.make("logs.db", 0600);
  fs::create_hard_link(r.at("logs.db"), r.dir / "elsewhere");
  auto notices = secure_own_files(r.root);
  REQUIRE(notices.size() == 1);
  CHECK_THAT(notices[0], Contains(".sluice/logs.db has another hard link"));
  CHECK(identity_of(r.at("logs.db")) != identity_of(r.dir / "elsewhere"));
  CHECK(r.text_of("logs.db") == "text");
}

TEST_CASE("a token that others could read is renamed", "[private_folder]") {
  fixture r;
  r.make("token", 0640);
  CHECK(secure_own_files(r.root).size() == 1);
  REQUIRE(r.names().size() == 1);
  CHECK_THAT(r.names()[0], Catch::StartsWith("token.untrusted-"));
}

TEST_CASE("a journal that others could write is not rolled back into an own database", "[private_folder]") {
  fixture r;
  r.make("audit.db", 0600);
  r.make("audit.db-journal", 0666, "planted");
  CHECK(secure_own_files(r.root).size() == 1);
  auto names = r.names();
  REQUIRE(names.size() == 2);
  CHECK(names[0] == "audit.db");
  CHECK_THAT(names[1], Catch::StartsWith("audit.db-journal.untrusted-"));
}

TEST_CASE("files of another user are renamed, a database with its companions", "[private_folder]") {
  if (geteuid() != 0)
    return;
  fixture r;
  r.make("audit.db", 0600, "planted", stranger);
  r.make("audit.db-wal", 0600, "log");
  r.make("buffer.db", 0600);
  r.make("buffer.db-journal", 0600, "hot", stranger);
  auto notices = secure_own_files(r.root);
  REQUIRE(notices.size() == 2);
  CHECK_THAT(notices[0], Contains(".sluice/audit.db belongs to uid 60001") && Contains("audit.db.untrusted-"));
  auto names = r.names();
  REQUIRE(names.size() == 4);
  CHECK_THAT(names[0], Catch::StartsWith("audit.db.untrusted-"));
  CHECK(names[1] == names[0] + "-wal");
  CHECK(names[2] == "buffer.db");
  CHECK_THAT(names[3], Catch::StartsWith("buffer.db-journal.untrusted-"));
  CHECK(secure_own_files(r.root).empty());
}

} // namespace sluice::test::private_folder_test
