// Open calls in Python, JavaScript and TypeScript.

#include "runtime/validate/open_calls.hpp"
#include "runtime/validate/source_language.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace sluice::test::script_languages_test {

using validate::find_open_calls;
using validate::language;
using validate::language_of_first_line;
using validate::language_of_name;
using texts = std::vector<std::string>;

texts found(language of, std::string_view source) {
  texts result;
  for (const auto& call : find_open_calls(source, of))
    result.push_back(std::to_string(call.line) + ":" + std::to_string(call.column) + " " + call.text);
  return result;
}

texts python(std::string_view source) { return found(language::python, source); }
texts js(std::string_view source) { return found(language::javascript, source); }

TEST_CASE("open calls of Python are found under every name that a source gives them", "[validate]") {
  CHECK(python("import sqlite3\ndb = sqlite3.connect('app.db')\n") == texts{"2:6 sqlite3.connect"});
  CHECK(python("import os, sqlite3 as s\ns.connect(p)") == texts{"2:1 s.connect"});
  CHECK(python("from sqlite3 import Row, connect as c\nc(p)") == texts{"2:1 c"});
  CHECK(python("from sqlite3 import (\n  Row,\n  connect,\n)\nconnect(p)") == texts{"5:1 connect"});
  CHECK(python("from sqlite3 import *\nconnect(p)") == texts{"2:1 connect"});
  CHECK(python("from sqlite3 import dbapi2 as sqlite\nsqlite.connect(p)") == texts{"2:1 sqlite.connect"});
  CHECK(python("try:\n  import sqlite3\nexcept ImportError:\n  pass\npartial(sqlite3.connect, p)")
        == texts{"5:9 sqlite3.connect"});
  CHECK(python("import sqlite3; sqlite3.connect(p)") == texts{"1:17 sqlite3.connect"});
  CHECK(python("import sqlite3\nsqlite3.Connection(p)") == texts{"2:1 sqlite3.Connection"});
  CHECK(python("import aiosqlite\nasync with aiosqlite.connect(p) as db: pass") == texts{"2:12 aiosqlite.connect"});
  CHECK(python("import apsw\napsw.Connection(p)") == texts{"2:1 apsw.Connection"});
  CHECK(python("from peewee import SqliteDatabase\nSqliteDatabase(p)") == texts{"2:1 SqliteDatabase"});
  CHECK(python("create_engine('sqlite:///app.db')") == texts{"1:16 a URL of SQLite"});
  CHECK(python("URL = f\"sqlite+aiosqlite:///{path}\"") == texts{"1:9 a URL of SQLite"});
  CHECK(python("E = {'ENGINE': 'django.db.backends.sqlite3'}") == texts{"1:17 the SQLite backend of Django"});
  CHECK(python("__import__('sqlite3').connect(p)") == texts{"1:1 __import__(\"sqlite3\")"});
  CHECK(python("subprocess.run(['sqlite3', p])") == texts{"1:12 the program sqlite3"});
  CHECK(python("os.system('sqlite3 app.db')") == texts{"1:4 the program sqlite3"});
}

TEST_CASE("comments, texts, annotations and other names of Python are no open calls", "[validate]") {
  CHECK(python("import sqlite3\n# sqlite3.connect(p)\nx = 1  # sqlite3.connect(p)").empty());
  CHECK(python("import sqlite3\n'''sqlite3.connect(p)\n'sqlite3.connect(p)'\n'''\ns = \"sqlite3.connect(p)\"").empty());
  CHECK(python("import sqlite3\ns = r'\\\\' + 'sqlite3.connect(p)'").empty());
  CHECK(python("import sqlite3\ndef f(db: sqlite3.Connection) -> sqlite3.Row: pass").empty());
  CHECK(python("import psycopg\npsycopg.connect(p); self.sqlite3.connect(p)").empty());
  CHECK(python("import sqlite3\nsqlite3.connect(':memory:'); sqlite3.connect(database=\":memory:\")").empty());
  CHECK(python("from sqlite3 import connect\nf(connect=1)\nx = connect == y and connect(':memory:')").size() == 1);
  CHECK(python("e = create_engine('sqlite://'); f = create_engine('sqlite:///:memory:')").empty());
  CHECK(python("log('sqlite: cannot open'); run(['ls', 'sqlite3'])").empty());
}

TEST_CASE("code behind a tricky literal of Python is code", "[validate]") {
  CHECK(python("import sqlite3\ns = '\\''; sqlite3.connect(p)") == texts{"2:11 sqlite3.connect"});
  CHECK(python("import sqlite3\ns = \"\"\"a\"b\"\"\"; sqlite3.connect(p)") == texts{"2:16 sqlite3.connect"});
  CHECK(python("import sqlite3\ns = 'not closed\nsqlite3.connect(p)") == texts{"3:1 sqlite3.connect"});
  CHECK(python("import sqlite3\ns = rb'\\n' '#'; sqlite3.connect(p)") == texts{"2:17 sqlite3.connect"});
}

TEST_CASE("open calls of JavaScript and TypeScript are found under every name of their module", "[validate]") {
  CHECK(js("import Database from 'better-sqlite3';\nconst db = new Database('app.db');") == texts{"2:16 Database"});
  CHECK(js("const D = require(\"better-sqlite3\"); D(p)") == texts{"1:38 D"});
  CHECK(js("require('better-sqlite3')('app.db')") == texts{"1:1 require(\"better-sqlite3\")"});
  CHECK(js("import D from 'npm:better-sqlite3@11.1.0'; new D(p)") == texts{"1:48 D"});
  CHECK(js("const sqlite3 = require('sqlite3').verbose();\nnew sqlite3.Database(p)") == texts{"2:5 sqlite3.Database"});
  CHECK(js("import * as s from 'sqlite3'; new s.Database(p)") == texts{"1:35 s.Database"});
  CHECK(js("const { Row, Database: D } = require('sqlite3'); new D(p)") == texts{"1:54 D"});
  CHECK(js("import { DatabaseSync } from 'node:sqlite'; new DatabaseSync(p)") == texts{"1:49 DatabaseSync"});
  CHECK(js("import { DatabaseSync as S } from 'node:sqlite'; new S(p)") == texts{"1:54 S"});
  CHECK(js("const { DatabaseSync } = await import('node:sqlite'); new DatabaseSync(p)") == texts{"1:59 DatabaseSync"});
  CHECK(js("import { Database } from 'bun:sqlite'; new Database<Row>(p)") == texts{"1:44 Database"});
  CHECK(js("import sqlite3 = require('sqlite3'); new sqlite3.Database(p)") == texts{"1:42 sqlite3.Database"});
  CHECK(js("import { open } from 'sqlite'; await open({ filename: p })") == texts{"1:38 open"});
  CHECK(js("import init from 'sql.js'; const SQL = await init(); new SQL.Database(readFileSync(p))")
        == texts{"1:58 SQL.Database"});
  CHECK(js("import { DB } from 'https://deno.land/x/sqlite@v3.9.1/mod.ts'; new DB(p)") == texts{"1:68 DB"});
  CHECK(js("import knex from 'knex'; knex({ client: 'sqlite3' })") == texts{"1:33 client: sqlite3"});
  CHECK(js("new Sequelize('sqlite:app.db')") == texts{"1:16 a URL of SQLite"});
  CHECK(js("execSync(`sqlite3 ${path}`); spawn('sqlite3', [p])")
        == texts{"1:1 the program sqlite3", "1:30 the program sqlite3"});
}

TEST_CASE("comments, texts, types and other names of JavaScript are no open calls", "[validate]") {
  constexpr std::string_view import = "import D from 'better-sqlite3';\n";
  CHECK(
    js(std::string{import} + "// new D(p)\n/* new D(p) */ const s = \"new D(p)\" + 'new D(p)' + `new D(p)\nnew D(p)`")
      .empty());
  CHECK(js(std::string{import} + "const r = /[/'\"]new D(p)/; const t: D = x;").empty());
  CHECK(js(std::string{import} + "new D(':memory:'); new D(); new D('');").empty());
  CHECK(js("import type D from 'better-sqlite3'; import D2 from 'other'; new D2(p); x.D(p)").empty());
  CHECK(js("import { sqlite } from 'better-sqlite3'; const kind = { client: 'sqlite3' }").empty());
  CHECK(js("import init from 'sql.js'; const SQL = await init(); new SQL.Database()").empty());
}

TEST_CASE("code in templates and behind regular expressions of JavaScript is code", "[validate]") {
  constexpr std::string_view import = "import D from 'better-sqlite3';\n";
  CHECK(js(std::string{import} + "const s = `a ${ {x: new D(p)}.x } new D(q) ${`${new D(r)}`}`; new D(s)")
        == texts{"2:25 D", "2:53 D", "2:67 D"});
  CHECK(js(std::string{import} + "const r = a / b / new D(p); return /'/.test(x) && new D(q)")
        == texts{"2:23 D", "2:55 D"});
}

TEST_CASE("a language is known by the ending of a name, or by the first line", "[validate]") {
  CHECK(language_of_name("a.cpp") == language::c);
  CHECK(language_of_name("a.tsx") == language::javascript);
  CHECK(language_of_name("a.d.ts") == language::javascript);
  CHECK(language_of_name("a.txt") == std::nullopt);
  CHECK(language_of_name("py") == std::nullopt);
  CHECK(language_of_name(".py") == std::nullopt);
  CHECK(language_of_first_line("#!/bin/sh") == language::shell);
  CHECK(language_of_first_line("#! /usr/bin/env -S VAR=1 python3.11 -u") == language::python);
  CHECK(language_of_first_line("#!/usr/bin/env node") == language::javascript);
  CHECK(language_of_first_line("#!/usr/bin/perl") == std::nullopt);
  CHECK(language_of_first_line("#!") == std::nullopt);
  CHECK(language_of_first_line("import sqlite3") == std::nullopt);
}

} // namespace sluice::test::script_languages_test
