#include "runtime/validate/open_calls.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::test::open_calls_test {

using validate::find_open_calls;
using validate::language;

// "LINE:COLUMN TEXT" of each finding.
std::vector<std::string> found(language of, std::string_view source) {
  std::vector<std::string> result;
  for (const auto& call : find_open_calls(source, of))
    result.push_back(std::to_string(call.line) + ":" + std::to_string(call.column) + " " + call.text);
  return result;
}

std::vector<std::string> rules(language of, std::string_view source) {
  std::vector<std::string> result;
  for (const auto& call : find_open_calls(source, of))
    result.emplace_back(call.rule);
  return result;
}

using texts = std::vector<std::string>;

TEST_CASE("open calls of C and C++ are found", "[validate]") {
  auto c = [](std::string_view source) { return found(language::c, source); };
  CHECK(c("int main() {\n  return sqlite3_open(\"app.db\", &db);\n}\n") == texts{"2:10 sqlite3_open"});
  CHECK(c("sqlite3_open_v2(path, &db, 0, nullptr);") == texts{"1:1 sqlite3_open_v2"});
  CHECK(c("auto open = &sqlite3_open16;") == texts{"1:14 sqlite3_open16"});
  CHECK(c("#define OPEN sqlite3_open\n") == texts{"1:14 sqlite3_open"});
  CHECK(c("auto f = dlsym(library, \"sqlite3_open_v2\");") == texts{"1:10 dlsym(\"sqlite3_open_v2\")"});
  CHECK(c("SQLite::Database db(\"app.db\");") == texts{"1:1 SQLite::Database"});
  CHECK(c("auto db = std::make_unique<SQLite::Database>(path);") == texts{"1:28 SQLite::Database"});
  CHECK(c("auto db = QSqlDatabase::addDatabase(\"QSQLITE\");") == texts{"1:25 addDatabase(\"QSQLITE\")"});
  CHECK(c("system(\"sqlite3 app.db .dump\");") == texts{"1:1 the program sqlite3"});
  CHECK(c("execlp(\"/usr/bin/sqlite3\", \"sqlite3\", path, nullptr);") == texts{"1:1 the program sqlite3"});
  CHECK(c("soci::session s(\"sqlite3:app.db\");") == texts{"1:18 a URL of SQLite"});
  CHECK(rules(language::c, "sqlite3_open(p, &db); system(\"sqlite3 x\");")
        == texts{"c-sqlite3-open", "sqlite3-program"});
}

TEST_CASE("comments, texts and similar names of C and C++ are no open calls", "[validate]") {
  auto c = [](std::string_view source) { return found(language::c, source); };
  CHECK(c("// sqlite3_open(path, &db)\n/* sqlite3_open(path, &db)\n sqlite3_open */").empty());
  CHECK(c("// continued \\\nsqlite3_open(path, &db)\n").empty());
  CHECK(c("log(\"sqlite3_open(app.db) failed\"); auto c = '\"'; log(\"sqlite3_open\");").empty());
  CHECK(c("auto text = R\"x(sqlite3_open(\")\" sqlite3_open)x\"; int a;").empty());
  CHECK(c("my_sqlite3_open(path); sqlite3_opened = true; sqlite3_prepare_v2(db);").empty());
  CHECK(c("void use(SQLite::Database& db, SQLite::Database* other);").empty());
  CHECK(c("SQLite::Statement query(db, \"SELECT 1\"); own::SQLite::Database db(1);").empty());
  CHECK(c("sqlite3_open(\":memory:\", &db); sqlite3_open_v2(\"file:x?mode=memory\", &db, 0, 0);").empty());
  CHECK(c("log(\"sqlite::database\", \"sqlite: failed\", \"sqlite:\");").empty());
  CHECK(c("#include <sqlite3.h>\nauto n = 1'000'000;").empty());
}

TEST_CASE("code behind a tricky literal of C++ is code", "[validate]") {
  auto c = [](std::string_view source) { return found(language::c, source); };
  CHECK(c("auto n = 1'000; sqlite3_open(p, &d);") == texts{"1:17 sqlite3_open"});
  CHECK(c("auto q = '\\''; sqlite3_open(p, &d);") == texts{"1:16 sqlite3_open"});
  CHECK(c("auto s = \"\\\\\"; sqlite3_open(p, &d);") == texts{"1:16 sqlite3_open"});
  CHECK(c("auto s = R\"(a\\)\"; sqlite3_open(p, &d);") == texts{"1:19 sqlite3_open"});
  CHECK(c("/* /* */ sqlite3_open(p, &d);") == texts{"1:10 sqlite3_open"});
  CHECK(c("#error don't\nsqlite3_open(p, &d);") == texts{"2:1 sqlite3_open"});
  CHECK(c("auto s = \"http://x\"; sqlite3_open(p, &d);") == texts{"1:22 sqlite3_open"});
}

TEST_CASE("open calls of Rust are found under every name that a source gives them", "[validate]") {
  auto rust = [](std::string_view source) { return found(language::rust, source); };
  CHECK(rust("use rusqlite::Connection;\nlet c = Connection::open(path)?;") == texts{"2:9 Connection::open"});
  CHECK(rust("use rusqlite::Connection as Db; Db::open_with_flags(p, f)") == texts{"1:33 Db::open_with_flags"});
  CHECK(rust("use rusqlite::{params, Connection as C, Result};\nC::open(p)") == texts{"2:1 C::open"});
  CHECK(rust("use {std::fs, rusqlite::{self as sql, types::{Value}}}; sql::Connection::open(p)")
        == texts{"1:57 sql::Connection::open"});
  CHECK(rust("use rusqlite::*; Connection::open(p)") == texts{"1:18 Connection::open"});
  CHECK(rust("use rusqlite::{self}; rusqlite::Connection::open(p)") == texts{"1:23 rusqlite::Connection::open"});
  CHECK(rust("extern crate rusqlite as r; r::Connection::open(p)") == texts{"1:29 r::Connection::open"});
  CHECK(rust("use rusqlite::Connection; type Db = Connection; Db::open(p)") == texts{});
  CHECK(rust("type Db = rusqlite::Connection; Db::open(p)") == texts{"1:33 Db::open"});
  CHECK(rust("tokio_rusqlite::Connection::open(p).await") == texts{"1:1 tokio_rusqlite::Connection::open"});
  CHECK(rust("SqlitePool::connect(\"sqlite://app.db\")") == texts{"1:1 SqlitePool::connect", "1:22 a URL of SQLite"});
  CHECK(rust("use sqlx::sqlite::SqlitePoolOptions as O; O::new()") == texts{"1:43 O::new"});
  CHECK(rust("SqliteConnection::establish(&url)") == texts{"1:1 SqliteConnection::establish"});
  CHECK(rust("sqlite::open(path)") == texts{"1:1 sqlite::open"});
  CHECK(rust("unsafe { ffi::sqlite3_open_v2(p, &mut d, 0, n) }") == texts{"1:15 sqlite3_open_v2"});
  CHECK(rust("std::process::Command::new(\"sqlite3\").arg(p)") == texts{"1:24 the program sqlite3"});
}

TEST_CASE("comments, texts and other connections of Rust are no open calls", "[validate]") {
  auto rust = [](std::string_view source) { return found(language::rust, source); };
  CHECK(rust("use rusqlite::Connection; // Connection::open(p)\n/* a /* b */ Connection::open(p) */").empty());
  CHECK(rust("use rusqlite::Connection; let s = \"Connection::open(p)\\\" Connection::open(p)\";").empty());
  CHECK(rust("use rusqlite::Connection; let s = r#\"Connection::open(\" p)\"#;").empty());
  CHECK(rust("use lapin::Connection; Connection::open(p); File::open(p); Connection::open(q)").empty());
  CHECK(rust("use rusqlite::Connection; Connection::open_in_memory(); Connection::open(\":memory:\")").empty());
  CHECK(rust("SqlitePool::connect(\"sqlite::memory:\"); fn f(c: &rusqlite::Connection) {}").empty());
}

TEST_CASE("lifetimes and characters of Rust hide no code", "[validate]") {
  auto rust = [](std::string_view source) { return found(language::rust, source); };
  CHECK(rust("fn f<'a>(x: &'a str) { sqlite::open(x) } let q = '\"'; let e = '\\''; sqlite::open(y)")
        == texts{"1:24 sqlite::open", "1:69 sqlite::open"});
  CHECK(rust("let r#type = 1; let b = b'\"'; let s = br\"\\\"; sqlite::open(y)") == texts{"1:46 sqlite::open"});
}

TEST_CASE("open calls of Go are found under every name of their package", "[validate]") {
  auto go = [](std::string_view source) { return found(language::go, source); };
  CHECK(go("import \"database/sql\"\nvar db, err = sql.Open(\"sqlite3\", path)") == texts{"2:15 sql.Open"});
  CHECK(go("import (\n  d \"database/sql\"\n  _ \"modernc.org/sqlite\"\n)\nvar x = d.Open(`sqlite`, p)")
        == texts{"5:9 d.Open"});
  CHECK(go("import . \"database/sql\"\nvar x = Open(\"sqlite3\", p)") == texts{"2:9 Open"});
  CHECK(go("import (\"database/sql\"; _ \"github.com/mattn/go-sqlite3\")\nvar x = sql.Open(driver, p)")
        == texts{"2:9 sql.Open"});
  CHECK(go("import \"github.com/jmoiron/sqlx\"\nvar x = sqlx.ConnectContext(ctx, \"sqlite3\", p)")
        == texts{"2:9 sqlx.ConnectContext"});
  CHECK(go("import \"gorm.io/driver/sqlite\"\nvar x = gorm.Open(sqlite.Open(p))") == texts{"2:19 sqlite.Open"});
  CHECK(go("import \"zombiezen.com/go/sqlite/sqlitex\"\nvar x = sqlitex.NewPool(p)") == texts{"2:9 sqlitex.NewPool"});
  CHECK(go("import \"github.com/ncruces/go-sqlite3\"\nvar x = sqlite3.Open(p)") == texts{"2:9 sqlite3.Open"});
  CHECK(go("import \"os/exec\"\nvar x = exec.Command(\"sqlite3\", p)") == texts{"2:14 the program sqlite3"});
}

TEST_CASE("comments, texts and other drivers of Go are no open calls", "[validate]") {
  auto go = [](std::string_view source) { return found(language::go, source); };
  constexpr std::string_view sql = "import \"database/sql\"\n";
  CHECK(go(std::string{sql} + "// sql.Open(\"sqlite3\", p)\n/* sql.Open(\"sqlite3\", p) */").empty());
  CHECK(go(std::string{sql} + "var s = `sql.Open(\"sqlite3\", p)\n` + \"sql.Open(\\\"sqlite3\\\")\"").empty());
  CHECK(go(std::string{sql} + "var x = sql.Open(\"postgres\", p); var y = sql.Open(driver, p)").empty());
  CHECK(go(std::string{sql} + "var x = sql.Open(\"sqlite3\", \":memory:\"); var r = '\"'").empty());
  CHECK(go("import \"other/sql\"\nvar x = sql.Open(\"sqlite3\", p); var y = os.Open(p)").empty());
}

TEST_CASE("open calls in shell scripts are found wherever a command may stand", "[validate]") {
  auto sh = [](std::string_view source) { return found(language::shell, source); };
  CHECK(sh("sqlite3 app.db 'SELECT 1'") == texts{"1:1 sqlite3"});
  CHECK(sh("x=$(sqlite3 app.db .tables)\n") == texts{"1:5 sqlite3"});
  CHECK(sh("echo \"n: $(sqlite3 app.db 'x') `sqlite3 b.db`\"") == texts{"1:12 sqlite3", "1:33 sqlite3"});
  CHECK(sh("echo .dump | /usr/bin/sqlite3 app.db") == texts{"1:14 /usr/bin/sqlite3"});
  CHECK(sh("if a; then sqlite3 a.db; fi; for x in 1; do sqlite3 b.db; done") == texts{"1:12 sqlite3", "1:45 sqlite3"});
  CHECK(sh("A=1 B=2 sqlite3 app.db && \"sqlite3\" b.db || 'sqlite3' c.db")
        == texts{"1:9 sqlite3", "1:27 sqlite3", "1:45 sqlite3"});
  CHECK(sh("sudo -u app nice -n 5 timeout 10s sqlite3 app.db") == texts{"1:35 sqlite3"});
  CHECK(sh("bash -c 'cd x; sqlite3 app.db'") == texts{"1:9 sqlite3"});
  CHECK(sh("f() { sqlite3 app.db; }\ncase $x in a) sqlite3 b.db;; esac") == texts{"1:7 sqlite3", "2:15 sqlite3"});
  CHECK(sh("cat <<A <<-B\nsqlite3 x\nA\n\tB\nsqlite3 app.db <<SQL\nSELECT 1;\nSQL\nsqlite3 b.db")
        == texts{"5:1 sqlite3", "8:1 sqlite3"});
  CHECK(sh("x=$((1 << 2)); sqlite3 app.db\n((x << 3)); sqlite3 app.db") == texts{"1:16 sqlite3", "2:13 sqlite3"});
  CHECK(sh("a=(x $(sqlite3 a.db)); sqlite3 b.db") == texts{"1:8 sqlite3", "1:24 sqlite3"});
  CHECK(sh(">out 2>&1 sqlite3 app.db; diff <(sqlite3 a.db) b") == texts{"1:11 sqlite3", "1:34 sqlite3"});
  CHECK(sh("echo ${x:-$(sqlite3 a.db)} $'it\\'s' \\\n; sqlite3 b.db") == texts{"1:13 sqlite3", "2:3 sqlite3"});
}

TEST_CASE("comments, texts, arguments and questions in shell scripts are no open calls", "[validate]") {
  auto sh = [](std::string_view source) { return found(language::shell, source); };
  CHECK(sh("#!/bin/sh\n# sqlite3 app.db\necho a # sqlite3 app.db\n").empty());
  CHECK(sh("echo sqlite3 app.db; echo 'sqlite3 app.db'; echo \"; sqlite3 app.db\"").empty());
  CHECK(sh("sudo apt-get install -y sqlite3; command -v sqlite3; type sqlite3; which sqlite3").empty());
  CHECK(sh("sqlite3 --version; sqlite3 -help; sqlite3 :memory: 'SELECT 1'; sqlite3 -json :memory: x").empty());
  CHECK(sh("packages=(\n  git # x )\n  sqlite3\n  curl)\nlist+=(sqlite3)").empty());
  CHECK(sh("cat <<'EOF'\nsqlite3 app.db\nEOF\n").empty());
  CHECK(sh("sqlite3_analyzer app.db; my-sqlite3 app.db; echo a#b; x='a\nsqlite3 app.db'").empty());
}

TEST_CASE("the guide names every rule", "[validate]") {
  std::ifstream in{std::string{SLUICE_SOURCE_DIR} + "/docs/operations/validate.md"};
  const std::string guide{std::istreambuf_iterator<char>{in}, {}};
  CHECK(validate::rule_names().size() == 10);
  for (auto name : validate::rule_names()) {
    INFO(name);
    CHECK(guide.find("| `" + std::string{name} + "` |") != std::string::npos);
  }
}

TEST_CASE("any bytes are read to their end", "[validate]") {
  const std::string odd{"\xff\xfe'\"`${\\/*r#\"R\"(\0<<", 20};
  for (auto of : {language::c, language::rust, language::go, language::python, language::javascript, language::shell})
    for (size_t begin = 0; begin < odd.size(); ++begin)
      for (auto end = begin; end <= odd.size(); ++end)
        CHECK_NOTHROW(find_open_calls(std::string_view{odd}.substr(begin, end - begin), of));
  auto nested = std::string(5000, '(') + "$(" + std::string(5000, '$') + "\"`" + std::string(5000, '{');
  std::string deep;
  for (int i = 0; i < 5000; ++i)
    deep += "$(a \"${b:-`{use a::{";
  for (auto of : {language::c, language::rust, language::go, language::python, language::javascript, language::shell}) {
    CHECK_NOTHROW(find_open_calls(nested, of));
    CHECK_NOTHROW(find_open_calls(deep, of));
  }
}

} // namespace sluice::test::open_calls_test
