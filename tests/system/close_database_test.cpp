// A host with many databases closes those that it does not need at the moment.
#include "runtime/sluice.hpp"
#include "tests/system/fixture.hpp"

#include <filesystem>

namespace sluice::test::close_database_test {

using namespace std::chrono_literals;

namespace {

// The number of descriptors of this process that are open on files of the folder, except the broker's own files.
size_t open_databases(const temp_dir& folder) {
  size_t result = 0;
  for (const auto& file : std::filesystem::directory_iterator{"/proc/self/fd"}) {
    std::error_code gone;
    auto target = std::filesystem::read_symlink(file.path(), gone);
    result +=
      !gone && target.parent_path() == std::filesystem::canonical(folder.path()) && target.extension() != "" ? 1 : 0;
  }
  return result;
}

write_request insert_into(const std::string& table) {
  return write_of("host", {{"INSERT INTO " + table + " VALUES (1)", {}}});
}

int64_t count_rows(const database& db) {
  auto rows = must(db.read("host", "SELECT count(*) FROM t")).rows;
  return *rows->at(0, 0).integer();
}

} // namespace

TEST_CASE("a closed database has no open files, refuses its handles, and works again when it is opened", "[system]") {
  temp_dir folder;
  auto host = open_broker(folder.path());
  auto db = must(host.open_database("app.db"));
  must(db.write("host", "CREATE TABLE t(a)"));
  must(db.write(insert_into("t")));
  CHECK(count_rows(db) == 1);
  REQUIRE(db.is_open());
  REQUIRE(open_databases(folder) > 0);

  CHECK_FALSE(host.close_database("app.db"));
  CHECK_FALSE(db.is_open());
  CHECK(open_databases(folder) == 0);
  CHECK_FALSE(std::filesystem::exists(folder.path() / "app.db-wal"));
  auto error = refused(db.write(insert_into("t")));
  CHECK(error.code == errc::unavailable);
  CHECK(error.message == "'app.db' has been closed by its host; open it again");
  CHECK(refused(db.read("host", "SELECT count(*) FROM t")).message == error.message);
  // Other programs may replace the file.
  sqlite::connection_options options;
  options.mode = sqlite::open_mode::read_write_create;
  must(must(sqlite::connection::open(folder.path() / "app.db", options)).exec("INSERT INTO t VALUES (2)"));

  auto again = must(host.open_database("app.db"));
  CHECK(count_rows(again) == 2);
  CHECK(must(db.write(insert_into("t"))).commit_seq == 3);
  CHECK(count_rows(db) == 3);
  CHECK(host.status().databases.at(0).restarts == 0);
}

TEST_CASE("closing a database finishes requests under way, and a concurrent opening waits for that", "[system]") {
  temp_dir folder;
  auto host = open_broker(folder.path());
  auto db = must(host.open_database("app.db"));
  must(db.write("host", "CREATE TABLE t(a)"));
  std::vector<std::future<caf::expected<write_result>>> writes;
  for (auto i = 0; i < 300; ++i)
    writes.push_back(db.write_async(insert_into("t")));
  auto reads = db.read_async(read_of("reader", "SELECT count(*) FROM t"));
  std::thread closer{[&] { CHECK_FALSE(host.close_database("app.db")); }};
  CHECK_FALSE(host.close_database("app.db"));
  closer.join();
  auto again = must(host.open_database("app.db"));
  int64_t done = 0;
  for (auto& write : writes)
    done += write.get() ? 1 : 0;
  CHECK(done == 300);
  auto read = reads.get();
  CHECK((read || describe(read.error()).code == errc::unavailable));
  CHECK(count_rows(again) == 300);
}

TEST_CASE("clients of a front door need not know that their database was closed", "[system]") {
  temp_dir folder;
  auto host = open_broker(folder.path());
  auto door = must(front_door::open(host, {}));
  client_options options;
  options.start_broker = false;
  options.require_broker = true;
  auto guest = must(open_client(folder.path(), std::move(options)));
  auto request = write_of("guest", {{"CREATE TABLE IF NOT EXISTS t(a)", {}}});
  request.db = "app.db";
  must(guest->write(request));
  CHECK_FALSE(host.close_database("app.db"));
  must(guest->write(request));
}

TEST_CASE("a name that was never opened leaves nothing in the status, and its handle refuses everything", "[system]") {
  temp_dir folder;
  auto host = open_broker(folder.path());
  auto db = host.opened("../evil");
  CHECK_FALSE(db);
  CHECK(refused(db.write(insert_into("t"))).code == errc::unavailable);
  CHECK(host.status().databases.empty());
  CHECK_FALSE(host.close_database("never-opened.db"));
  CHECK(host.status().databases.empty());
}

} // namespace sluice::test::close_database_test
