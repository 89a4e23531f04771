#include "tests/system/fixture.hpp"

#include <fstream>
#include <sys/stat.h>

namespace sluice::test::faults_file_test {

namespace {

const sql_text make_notes{"CREATE TABLE IF NOT EXISTS notes (text TEXT NOT NULL)"};
const sql_text add_note{"INSERT INTO notes (text) VALUES ('x')"};
const sql_text count_notes{"SELECT count(*) FROM notes"};

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void write_bytes(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream{file, std::ios::binary} << bytes;
}

void remove_database(const std::filesystem::path& file) {
  for (const char* suffix : {"", "-wal", "-shm"})
    std::filesystem::remove(file.string() + suffix);
}

errc code_of_write(const database& db, sql_text sql) { return refused(db.write("tester", std::move(sql))).code; }

errc code_of_fresh_read(const database& db, sql_text sql) {
  return refused(db.read(read_of("tester", std::move(sql), freshness::fresh))).code;
}

} // namespace

TEST_CASE("a folder at a database's path is refused, before or after it was opened", "[system]") {
  one_database database;
  std::filesystem::create_directory(database.folder / "folder.db");
  CHECK(refused(database.host.open_database("folder.db")).code == errc::invalid_request);
  auto late = must(database.host.open_database("late.db"));
  std::filesystem::create_directory(database.folder / "late.db");
  CHECK(code_of_write(late, make_notes) == errc::invalid_request);
  CHECK(code_of_fresh_read(late, count_notes) == errc::invalid_request);
  // After the folder is removed, the database works.
  std::filesystem::remove(database.folder / "late.db");
  must(late.write("tester", make_notes));
  must(late.write("tester", add_note));
  require_sound(database.folder / "late.db");
  database.require_serving();
}

TEST_CASE("a file that is not a database is corrupt and stays unchanged", "[system]") {
  one_database database;
  std::string almost = "SQLite format 3";
  almost += '\0';
  almost += std::string(4'000, '\x7f');
  for (const auto& content : {std::string{"Dear diary, this is no database."}, std::string(100'000, '#'), almost}) {
    auto file = database.folder / "text.db";
    write_bytes(file, content);
    auto text = must(database.host.open_database("text.db"));
    CHECK(code_of_fresh_read(text, "SELECT 1 FROM sqlite_schema") == errc::corrupt);
    CHECK(code_of_write(text, make_notes) == errc::corrupt);
    CHECK(code_of_write(text, make_notes) == errc::corrupt);
    CHECK(bytes_of(file) == content);
  }
  CHECK_FALSE(database.db.status().quarantined);
  database.require_serving();
}

TEST_CASE("requests to a damaged table fail as corrupt, and other requests are served", "[system]") {
  temp_dir folder;
  auto file = folder / "app.db";
  {
    external_process maker{file};
    maker.run("CREATE TABLE good (n INTEGER NOT NULL); CREATE TABLE bad (n INTEGER NOT NULL);"
              "INSERT INTO good (n) VALUES (1); INSERT INTO bad (n) VALUES (1)");
  }
  auto page = integer_of(file, "SELECT rootpage FROM sqlite_schema WHERE name = 'bad'");
  auto content = bytes_of(file);
  content.replace(static_cast<size_t>(page - 1) * 4'096, 200, std::string(200, '\xff'));
  write_bytes(file, content);

  auto host = open_broker(folder.path());
  auto db = must(host.open_database("app.db"));
  CHECK(code_of_fresh_read(db, "SELECT n FROM bad") == errc::corrupt);
  CHECK(code_of_write(db, "INSERT INTO bad (n) VALUES (2)") == errc::corrupt);
  for (int i = 0; i < 3; ++i)
    must(db.write("tester", "INSERT INTO good (n) VALUES (2)"));
  CHECK(*must(db.read("tester", "SELECT count(*) FROM good")).rows->at(0, 0).integer() == 4);
}

TEST_CASE("reading a missing database creates no file", "[system]") {
  one_database database;
  CHECK(code_of_fresh_read(database.db, "SELECT 1") == errc::unknown_database);
  CHECK_FALSE(std::filesystem::exists(database.file()));
  CHECK(refused(database.host.open_database("no/such/folder.db")).code == errc::unknown_database);
  database.require_serving();
}

TEST_CASE("reading a file without a ledger changes no byte of it", "[system]") {
  temp_dir folder;
  auto file = folder / "app.db";
  {
    external_process maker{file};
    maker.run("PRAGMA journal_mode = DELETE; CREATE TABLE notes (text TEXT NOT NULL)");
  }
  auto before = bytes_of(file);
  {
    auto host = open_broker(folder.path());
    auto db = must(host.open_database("app.db"));
    must(db.read("tester", count_notes));
    CHECK(code_of_fresh_read(db, add_note) == errc::invalid_request);
  }
  CHECK(bytes_of(file) == before);
}

TEST_CASE("files without permission are refused with their error, and other files are served", "[system]") {
  temp_dir folder;
  auto file = folder / "app.db";
  {
    external_process maker{file};
    maker.run("CREATE TABLE notes (text TEXT NOT NULL)");
  }
  if (geteuid() == 0) {
    REQUIRE(chown(folder.path().c_str(), 65'534, 65'534) == 0);
    REQUIRE(chown(file.c_str(), 65'534, 65'534) == 0);
  }
  auto answers = [&] {
    child_process client{UNPRIVILEGED_CLIENT, {folder.path().string(), "app.db"}};
    std::vector<std::string> lines;
    for (auto line = client.line(); !line.empty(); line = client.line())
      lines.push_back(line);
    CHECK(client.wait() == 0);
    return lines;
  };
  using lines = std::vector<std::string>;
  CHECK(answers() == lines{"write ok", "read ok", "other ok"});
  chmod(file.c_str(), 0444);
  CHECK(answers() == lines{"write read_only", "read ok", "other ok"});
  chmod(file.c_str(), 0000);
  CHECK(answers() == lines{"write not_authorized", "read not_authorized", "other ok"});
  chmod(file.c_str(), 0644);
  CHECK(answers() == lines{"write ok", "read ok", "other ok"});
  require_sound(file);
}

TEST_CASE("a store whose folder may not be written is read_only", "[system]") {
  temp_dir folder;
  { external_process{folder / "app.db"}.run("CREATE TABLE notes (text TEXT NOT NULL)"); }
  if (geteuid() == 0) {
    REQUIRE(chown(folder.path().c_str(), 65'534, 65'534) == 0);
    REQUIRE(chown((folder / "app.db").c_str(), 65'534, 65'534) == 0);
  }
  chmod(folder.path().c_str(), 0555);
  child_process client{UNPRIVILEGED_CLIENT, {folder.path().string(), "app.db"}};
  CHECK(client.line() == "broker read_only");
  CHECK(client.wait() == 0);
  chmod(folder.path().c_str(), 0755);
}

TEST_CASE("a deleted file is noticed while it is open, and made again by the next write", "[system]") {
  one_database database;
  must(database.db.write("tester", make_notes));
  must(database.db.write("tester", add_note));
  CHECK(database.number("SELECT count(*) FROM notes") == 1);
  remove_database(database.file());
  CHECK(code_of_fresh_read(database.db, count_notes) == errc::unknown_database);
  CHECK(code_of_write(database.db, add_note) == errc::sql_error);
  // The cached answers of the old file are gone by then.
  CHECK(refused(database.db.read("tester", count_notes)).code == errc::sql_error);
  must(database.db.write("tester", make_notes));
  must(database.db.write("tester", add_note));
  must(database.db.write("tester", add_note));
  CHECK(database.number("SELECT count(*) FROM notes") == 2);
  CHECK(integer_of(database.file(), "SELECT count(*) FROM notes") == 2);
  CHECK(database.db.status().foreign_commits >= 1);
  database.require_serving();
}

TEST_CASE("a file that is replaced while it is open is written in its place", "[system]") {
  one_database database;
  must(database.db.write("tester", make_notes));
  must(database.db.write("tester", add_note));
  CHECK(database.number("SELECT count(*) FROM notes") == 1);
  auto other = database.folder / "other.db";
  {
    external_process{other}.run(
      "CREATE TABLE notes (text TEXT NOT NULL); INSERT INTO notes VALUES ('a'), ('b'), ('c')");
  }
  remove_database(database.file());
  std::filesystem::rename(other, database.file());
  must(database.db.write("tester", add_note));
  CHECK(database.number("SELECT count(*) FROM notes") == 4);
  CHECK(integer_of(database.file(), "SELECT count(*) FROM notes") == 4);
  database.require_serving();
}

TEST_CASE("a full disk refuses writes as disk_full, loses nothing, and writes work again once there is room",
          "[system]") {
  temp_dir folder;
  child_process writer{FULL_DISK_WRITER, {folder.path().string()}};
  auto means = writer.line();
  auto found = writer.line();
  INFO(found);
  CHECK(writer.wait() == 0);
  if (means != "tmpfs")
    WARN("no namespace to be had; instead of a full disk, " << means);
}

TEST_CASE("a file that may not grow refuses writes, loses nothing, and works again when it may grow", "[system]") {
  temp_dir folder;
  child_process writer{FULL_DISK_WRITER, {folder.path().string(), "file-bound"}};
  CHECK(writer.line() == "a bound on the size of files");
  INFO(writer.line());
  CHECK(writer.wait() == 0);
}

} // namespace sluice::test::faults_file_test
