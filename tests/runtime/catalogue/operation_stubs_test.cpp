#include "runtime/catalogue/operation_stubs.hpp"

#include "messages/error.hpp"
#include "runtime/catalogue/stub_names.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>

namespace sluice::test::operation_stubs_test {

using Catch::Contains;

namespace {

std::shared_ptr<const catalogue> with(const std::string& lines) {
  auto result = make_catalogue({{"a.sql", "-- db: app.db\n" + lines}});
  INFO((result ? std::string{} : describe(result.error()).message));
  REQUIRE(result);
  return *result;
}

// Names that mean something in one of the languages, descriptions that would end a comment, and every kind.
std::string difficult_operations() {
  std::string result = R"sql(-- name: add_note :one
-- Adds a note: """ \ */ ${x} \u0041 "
--
-- Returns its id.\
-- param from text
-- param data blob?
-- param doc json
-- param more json?
-- param client integer
-- param from_ real
-- column id integer
-- column class text?
-- column __private blob
INSERT INTO notes VALUES (:from, :data, :doc, :more, :client, :from_, :key, :rows, :str) RETURNING *;
-- name: add_notes :batch
-- param class text
-- param doc json
-- param more json?
INSERT INTO notes VALUES (:class, :doc, :more, :sets);
-- name: add_plain :batch
-- param text text
INSERT INTO notes VALUES (:text);
-- name: a_b :many
-- column x any
SELECT 1 AS x;
-- name: a__b :many
-- column x json
SELECT 1 AS x;
-- name: clear :exec
DELETE FROM notes;
-- name: count_all :one
SELECT count(*) FROM notes WHERE a = :a;
)sql";
  for (const auto* name :
       {"import", "import_",   "class",     "lambda", "def",   "function", "delete", "new",    "await", "int",
        "str",    "bytes",     "float",     "list",   "print", "json",     "typing", "client", "let",   "yield",
        "eval",   "arguments", "undefined", "none",   "self",  "async",    "of",     "match",  "type",  "object"})
    result += std::string{"-- name: "} + name + " :many\n-- param " + name + " integer\nSELECT :" + name + ";\n";
  return result;
}

} // namespace

TEST_CASE("names of types are in camel case", "[catalogue]") {
  CHECK(in_camel_case("add_note") == "AddNote");
  CHECK(in_camel_case("a") == "A");
  CHECK(in_camel_case("a__b_") == "AB");
  CHECK(in_camel_case("find_2nd") == "Find2nd");
}

TEST_CASE("Python gets a typed function for each operation", "[catalogue]") {
  auto text = python_stubs(*with("-- name: add_note :one\n-- Adds a note.\n-- param text text (1..100)\n"
                                 "-- param rating real?\n-- column id integer\n-- column at text?\n"
                                 "INSERT INTO notes VALUES (:text, :rating) RETURNING id, at;\n"
                                 "-- name: find_notes :many\nSELECT id FROM notes WHERE text = :text;\n"
                                 "-- name: clear :exec\nDELETE FROM notes;\n"));
  CHECK_THAT(text, Contains("AddNoteRow = _t.TypedDict(\"AddNoteRow\", {\n    \"id\": int,\n"
                            "    \"at\": _t.Optional[str],\n})\n"));
  CHECK_THAT(text, Contains("def add_note(client: Client, *, text: str, rating: _t.Optional[float] = None, "
                            "key: _t.Optional[str] = None) -> _t.Optional[AddNoteRow]:\n    \"\"\"Adds a note.\"\"\"\n"
                            "    _answer = client.call(\"add_note\", {\"text\": text, \"rating\": rating}, key)\n"
                            "    return _answer[\"rows\"][0] if _answer[\"rows\"] else None\n"));
  CHECK_THAT(text, Contains("def find_notes(client: Client, *, text: _t.Any = None) -> "
                            "_t.List[_t.Dict[str, _t.Any]]:\n"
                            "    _answer = client.call(\"find_notes\", {\"text\": text})\n"
                            "    return _answer[\"rows\"]\n"));
  CHECK_THAT(text, Contains("def clear(client: Client, *, key: _t.Optional[str] = None) -> int:\n"
                            "    _answer = client.call(\"clear\", {}, key)\n    return _answer[\"changes\"]\n"));
}

TEST_CASE("TypeScript gets a typed function for each operation", "[catalogue]") {
  auto text = typescript_stubs(*with("-- name: add_note :one\n-- Adds a note.\n-- param text text (1..100)\n"
                                     "-- param rating real?\n-- column id integer\n-- column at text?\n"
                                     "INSERT INTO notes VALUES (:text, :rating) RETURNING id, at;\n"
                                     "-- name: find_notes :many\nSELECT id FROM notes WHERE text = :text;\n"
                                     "-- name: clear :exec\nDELETE FROM notes;\n"));
  CHECK_THAT(text, Contains("export interface AddNoteRow {\n  id: number;\n  at: string | null;\n}\n"));
  CHECK_THAT(text, Contains("export interface AddNoteParams {\n  text: string;\n  rating?: number | null;\n}\n"));
  CHECK_THAT(text, Contains("/**\n * Adds a note.\n */\nexport async function add_note(client: Client, "
                            "params: AddNoteParams, key?: string): Promise<AddNoteRow | null> {\n"
                            "  const answer = await client.call(\"add_note\", params, key);\n"
                            "  return answer.rows[0] ?? null;\n}\n"));
  CHECK_THAT(text, Contains("export async function find_notes(client: Client, params: FindNotesParams = {}): "
                            "Promise<Record<string, unknown>[]> {\n"
                            "  const answer = await client.call(\"find_notes\", params);\n  return answer.rows;\n}\n"));
  CHECK_THAT(text, Contains("export async function clear(client: Client, key?: string): Promise<number> {\n"
                            "  const answer = await client.call(\"clear\", {}, key);\n  return answer.changes;\n}\n"));
}

TEST_CASE("names that are keywords or taken get an underscore, and operations keep theirs", "[catalogue]") {
  auto all = with(difficult_operations());
  auto python = python_stubs(*all);
  CHECK_THAT(python, Contains("def import_(client: Client, *, import_: int)"));
  CHECK_THAT(python, Contains("client.call(\"import\", {\"import\": import_})"));
  CHECK_THAT(python, Contains("def import__(client: Client"));
  CHECK_THAT(python, Contains("*, from_: str, data: _t.Optional[bytes] = None, doc: _t.Any, more: _t.Any = None, "
                              "client_: int, from__: float, key_: _t.Any = None"));
  CHECK_THAT(python, Contains("\"doc\": _json.dumps(doc), \"more\": None if more is None else _json.dumps(more)"));
  CHECK_THAT(python, Contains("ABRow_ = _t.TypedDict(\"ABRow_\""));
  auto typescript = typescript_stubs(*all);
  CHECK_THAT(typescript, Contains("export async function delete_(client: Client"));
  CHECK_THAT(typescript, Contains("client.call(\"delete\", params)"));
  CHECK_THAT(typescript, Contains("doc: JSON.stringify(params.doc)"));
  CHECK_THAT(typescript, Contains("Adds a note: \"\"\" \\ *\\/ ${x}"));
}

TEST_CASE("equal catalogues give equal stubs, and an empty one gives a module", "[catalogue]") {
  CHECK(python_stubs(*with(difficult_operations())) == python_stubs(*with(difficult_operations())));
  CHECK_THAT(python_stubs(catalogue{}), Contains("class Client"));
  CHECK_THAT(typescript_stubs(catalogue{}), Contains("export interface Client"));
}

TEST_CASE("Python compiles the stubs, and calls operations with them", "[catalogue]") {
  if (std::system("python3 -c 'import typing' >/dev/null 2>&1") != 0) {
    WARN("there is no python3");
    return;
  }
  test::temp_dir dir;
  std::ofstream{dir / "stubs.py"} << python_stubs(*with(difficult_operations()));
  std::ofstream{dir / "check.py"} << R"py(
import stubs

class client:
    def call(self, operation, params, key=None):
        self.sent = operation, params, key
        return {"rows": [{"id": 7}], "changes": 3}

c = client()
assert stubs.add_note(c, from_="a", doc=[1], client_=2, from__=1.5, key="k") == {"id": 7}
assert c.sent == ("add_note", {"from": "a", "data": None, "doc": "[1]", "more": None, "client": 2, "from_": 1.5,
                               "key": None, "rows": None, "str": None}, "k"), c.sent
assert stubs.add_notes(c, [{"class": "x", "doc": {}, "more": None, "sets": 1}]) == 3
assert c.sent == ("add_notes", [{"class": "x", "doc": "{}", "more": None, "sets": 1}], None), c.sent
assert stubs.add_notes(c, [{"class": "x", "doc": {}, "sets": 1}]) == 3
assert c.sent == ("add_notes", [{"class": "x", "doc": "{}", "more": None, "sets": 1}], None), c.sent
assert stubs.a__b(c) == [{"id": 7}] and c.sent == ("a__b", {}, None)
assert stubs.clear(c) == 3
assert stubs.add_note.__doc__.startswith('Adds a note: """ \\ */ ${x} \\u0041 "\n'), stubs.add_note.__doc__
)py";
  auto command = "cd '" + dir.path().string() + "' && python3 -W error -m py_compile stubs.py && python3 check.py";
  CHECK(std::system(command.c_str()) == 0);
}

} // namespace sluice::test::operation_stubs_test
