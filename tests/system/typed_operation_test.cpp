#include "runtime/broker/local_operation.hpp"
#include "runtime/client/remote_operation.hpp"
#include "tests/system/fixture.hpp"

#include <fstream>

namespace sluice::test {

struct note_arguments {
  std::string text;
};

struct whole_note {
  int64_t id = 0;
  std::string text;
  std::optional<double> rating;
};

struct other_note {
  std::string id;
};

} // namespace sluice::test

namespace sluice {

template <>
inline constexpr auto fields_of<test::note_arguments> = list_fields("note_arguments",
                                                                    named_field{"text", &test::note_arguments::text});
template <>
inline constexpr auto fields_of<test::whole_note> = list_fields("whole_note", named_field{"id", &test::whole_note::id},
                                                                named_field{"text", &test::whole_note::text},
                                                                named_field{"rating", &test::whole_note::rating});
template <>
inline constexpr auto fields_of<test::other_note> = list_fields("other_note", named_field{"id", &test::other_note::id});

} // namespace sluice

namespace sluice::test::typed_operation_system_test {

namespace {

constexpr const char* operations = R"(-- db: app.db
-- name: make :exec
CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, rating REAL);
-- name: add :one
-- param text text (1..10)
-- column id integer
-- column text text
-- column rating real?
INSERT INTO notes (text) VALUES (:text) RETURNING id, text, rating;
-- name: add_all :batch
-- param text text
INSERT INTO notes (text) VALUES (:text);
-- name: find :many
-- param text text
-- column id integer
-- column text text
-- column rating real?
SELECT id, text, rating FROM notes WHERE text >= :text ORDER BY id;
)";

struct operations_folder {
  temp_dir folder;

  operations_folder() {
    std::filesystem::create_directory(folder / "operations");
    std::ofstream{folder / "operations" / "notes.sql"} << operations;
  }
};

template <class Source> void use_all(Source& source) {
  auto make = must(open_operation<no_arguments, int64_t>(source, "make"));
  must(make({}));
  auto add = must(open_operation<note_arguments, whole_note>(source, "add"));
  auto first = must(add({"a"}, {.agent = "alice", .idempotency_key = "k"}));
  CHECK((first.id == 1 && first.text == "a" && !first.rating));
  CHECK(must(add({"a"}, {.agent = "alice", .idempotency_key = "k"})).id == 1);
  auto add_all = must(open_operation<std::vector<note_arguments>, int64_t>(source, "add_all"));
  CHECK(must(add_all({{"b"}, {"c"}})) == 2);
  auto find = must(open_operation<note_arguments, std::vector<whole_note>>(source, "find"));
  auto found = must(find({"b"}));
  REQUIRE(found.size() == 2);
  CHECK((found[0].text == "b" && found[1].id == 3));

  auto too_long = add({"12345678901"});
  REQUIRE_FALSE(too_long);
  CHECK(describe(too_long.error()).message.starts_with("params.text has 11 characters"));
  auto twice = add({"a"});
  REQUIRE_FALSE(twice);
  CHECK(code_of(twice.error()) == errc::constraint);
  CHECK(describe(twice.error()).message.starts_with("operation add (operations/notes.sql:"));

  auto unfit = open_operation<note_arguments, other_note>(source, "add");
  REQUIRE_FALSE(unfit);
  CHECK(code_of(unfit.error()) == errc::invalid_request);
  CHECK(describe(unfit.error()).message
        == "operation add has the column id of type integer, and the field is of type text");
  auto unknown = open_operation<no_arguments, int64_t>(source, "nothing");
  REQUIRE_FALSE(unknown);
  CHECK(code_of(unknown.error()) == errc::unknown_operation);
}

} // namespace

TEST_CASE("a host calls operations as functions of structs", "[system][operations]") {
  operations_folder f;
  auto leader = open_broker(f.folder.path());
  use_all(leader);
}

TEST_CASE("a client calls operations as functions of structs", "[system][operations]") {
  operations_folder f;
  client_options options;
  options.start_broker = false;
  auto store = must(open_client(f.folder.path(), options));
  use_all(*store);
}

} // namespace sluice::test::typed_operation_system_test
