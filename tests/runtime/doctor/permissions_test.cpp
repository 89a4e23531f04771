#include "runtime/doctor/examination.hpp"
#include "runtime/doctor/permissions.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::test::permissions_test {

using namespace sluice::doctor;
using sluice::test::temp_dir;

namespace {

struct fixture {
  temp_dir root;
  // The checks run as the user of the tests, who owns the files, not as root, who may do everything.
  uid_t me = geteuid();

  fixture() {
    std::filesystem::create_directory(root / ".sluice");
    chmod((root / ".sluice").c_str(), 0700);
    make("app.db", 0644);
    make(".sluice/token", 0600);
    make(".sluice/audit.db", 0600);
  }

  void make(const std::string& name, mode_t mode) const {
    std::ofstream{root / name} << "x";
    chmod((root / name).c_str(), mode);
  }

  findings check(uid_t uid) const { return check_permissions(root.path(), {"app.db"}, uid); }
  findings check() const { return check(me); }

  static bool has(const findings& all, severity how_bad, const std::string& text) {
    for (const auto& each : all)
      if (each.severity == how_bad && each.text.find(text) != std::string::npos)
        return true;
    return false;
  }
};

} // namespace

TEST_CASE("usual modes are in order", "[doctor]") {
  fixture f;
  auto all = f.check();
  REQUIRE(all.size() == 1);
  CHECK(all[0].severity == severity::ok);
}

TEST_CASE("broker files that others may read are reported, with the command that ends it", "[doctor]") {
  fixture f;
  f.make(".sluice/token", 0644);
  chmod((f.root / ".sluice").c_str(), 0750);
  auto all = f.check();
  CHECK(f.has(all, severity::warning, ".sluice/token has the mode 644"));
  CHECK(f.has(all, severity::warning, ".sluice/ has the mode 750"));
  CHECK(all[1].advice == "chmod 600 .sluice/token");
}

TEST_CASE("a database that other users may read or write is reported, if they may enter its folder", "[doctor]") {
  fixture f;
  chmod(f.root.path().c_str(), 0711);
  CHECK(f.has(f.check(), severity::note, "app.db has the mode 644: other users may read it"));
  chmod((f.root / "app.db").c_str(), 0660);
  CHECK(f.has(f.check(), severity::warning, "app.db has the mode 660: other users may write it"));
  chmod((f.root / "app.db").c_str(), 0600);
  CHECK(f.check().at(0).severity == severity::ok);
  chmod(f.root.path().c_str(), 0700);
  chmod((f.root / "app.db").c_str(), 0666);
  CHECK(f.check().at(0).severity == severity::ok);
}

TEST_CASE("a store of another user is reported as such", "[doctor]") {
  fixture f;
  chmod(f.root.path().c_str(), 0755);
  auto all = f.check(f.me + 12'345);
  CHECK(f.has(all, severity::problem, "the folder may not be written"));
  CHECK(f.has(all, severity::problem, ".sluice/ belongs to uid"));
  CHECK(f.has(all, severity::problem, "app.db (uid"));
  CHECK_FALSE(is_healthy(all));
}

TEST_CASE("a WAL of another user is reported", "[doctor]") {
  fixture f;
  f.make("app.db-wal", 0600);
  chmod((f.root / "app.db").c_str(), 0666);
  auto all = f.check(f.me + 12'345);
  CHECK(f.has(all, severity::problem, "app.db-wal (uid"));
  CHECK_FALSE(f.has(all, severity::problem, "app.db (uid"));
}

TEST_CASE("a folder in the place of a file, and a file in the place of a folder, are reported", "[doctor]") {
  fixture f;
  std::filesystem::remove_all(f.root / ".sluice");
  f.make(".sluice", 0600);
  CHECK(f.has(f.check(), severity::problem, ".sluice is not a folder"));
  fixture g;
  std::filesystem::remove(g.root / ".sluice/token");
  std::filesystem::create_directory(g.root / ".sluice/token");
  CHECK(g.has(g.check(), severity::problem, ".sluice/token is no regular file"));
}

TEST_CASE("the folder of kept WALs is reported unless it is private", "[doctor]") {
  fixture f;
  std::filesystem::create_directory(f.root / ".sluice/set-aside");
  chmod((f.root / ".sluice/set-aside").c_str(), 0700);
  CHECK(f.check().at(0).severity == severity::ok);
  chmod((f.root / ".sluice/set-aside").c_str(), 0750);
  CHECK(f.has(f.check(), severity::warning, ".sluice/set-aside has the mode 750"));
  CHECK(f.check().at(0).advice == "chmod 700 .sluice/set-aside");
  chmod((f.root / ".sluice/set-aside").c_str(), 0500);
  // Root may do so in any case.
  CHECK(f.has(f.check(), severity::problem, ".sluice/set-aside may not be entered and written") == (f.me != 0));
  chmod((f.root / ".sluice/set-aside").c_str(), 0700);
  CHECK(f.has(f.check(f.me + 12'345), severity::problem, ".sluice/set-aside belongs to uid"));
}

TEST_CASE("the folder of agents' tokens is in order if it and its files are private", "[doctor]") {
  fixture f;
  std::filesystem::create_directory(f.root / ".sluice/tokens");
  chmod((f.root / ".sluice/tokens").c_str(), 0700);
  f.make(".sluice/tokens/planner", 0600);
  CHECK(f.check().at(0).severity == severity::ok);
  chmod((f.root / ".sluice/tokens/planner").c_str(), 0640);
  CHECK(f.has(f.check(), severity::warning, ".sluice/tokens/planner has the mode 640"));
  chmod((f.root / ".sluice/tokens").c_str(), 0750);
  CHECK(f.has(f.check(), severity::warning, ".sluice/tokens has the mode 750: others may read the tokens in it"));
}

TEST_CASE("a folder that every user may write is reported, also with the sticky bit", "[doctor]") {
  fixture f;
  chmod((f.root / "app.db").c_str(), 0600);
  chmod(f.root.path().c_str(), 0777);
  CHECK(f.has(f.check(), severity::warning, "the folder has the mode 777: every user may replace or delete databases"));
  chmod(f.root.path().c_str(), 01777);
  CHECK(f.has(f.check(), severity::warning, "the folder has the mode 1777: every user may put files there"));
  chmod(f.root.path().c_str(), 0770);
  CHECK(f.has(f.check(), severity::note, "users of its group"));
  CHECK(is_healthy(f.check()));
}

TEST_CASE("a hard link to a database is reported, because requests to it are refused", "[doctor]") {
  fixture f;
  std::filesystem::create_hard_link(f.root / "app.db", f.root / "other");
  CHECK(f.has(f.check(), severity::problem, "app.db has another hard link"));
}

TEST_CASE("root may do everything", "[doctor]") {
  fixture f;
  f.make("app.db", 0);
  CHECK_FALSE(f.has(f.check(0), severity::problem, "app.db (uid"));
}

} // namespace sluice::test::permissions_test
