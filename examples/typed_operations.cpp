// Operations as functions of structs, and a snapshot for several queries.
//
//   typed_operations [FOLDER]

#include "runtime/broker/local_operation.hpp"

#include <fmt/core.h>

#include <filesystem>
#include <fstream>

namespace {

// In a real store, people write this file.
constexpr const char* operations = R"sql(-- db: notes.db

-- name: make_notes :exec
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL, rating INTEGER);
CREATE TABLE IF NOT EXISTS history (note INTEGER NOT NULL, what TEXT NOT NULL);

-- name: add_note :one
-- Adds a note and its history.
-- param text text (1..10000)
-- param rating integer? (1..5)
-- column id integer
-- returning id into note_id
INSERT INTO notes (text, rating) VALUES (:text, :rating) RETURNING id;
INSERT INTO history (note, what) VALUES (:note_id, 'added');

-- name: list_notes :many
-- column id integer
-- column text text
-- column rating integer?
SELECT id, text, rating FROM notes ORDER BY id;
)sql";

struct new_note {
  std::string text;
  std::optional<int64_t> rating;
};

struct note_id {
  int64_t id = 0;
};

struct note {
  int64_t id = 0;
  std::string text;
  std::optional<int64_t> rating;
};

} // namespace

// The names of the fields are those of the parameters and columns.
template <>
inline constexpr auto
  sluice::fields_of<new_note> = sluice::list_fields("new_note", sluice::named_field{"text", &new_note::text},
                                                    sluice::named_field{"rating", &new_note::rating});
template <>
inline constexpr auto sluice::fields_of<note_id> = sluice::list_fields("note_id",
                                                                       sluice::named_field{"id", &note_id::id});
template <>
inline constexpr auto sluice::fields_of<note> = sluice::list_fields("note", sluice::named_field{"id", &note::id},
                                                                    sluice::named_field{"text", &note::text},
                                                                    sluice::named_field{"rating", &note::rating});

namespace {

int failed(const caf::error& reason) {
  fmt::print("{}\n", sluice::describe(reason).message);
  return 1;
}

int run(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder / "operations");
  std::ofstream{folder / "operations" / "notes.sql"} << operations;
  sluice::broker_config config;
  config.root = folder;
  auto broker = sluice::broker::open(config);
  if (!broker)
    return failed(broker.error());

  // Compared with the operations here, and not when they are called.
  auto make_notes = sluice::open_operation<sluice::no_arguments, int64_t>(*broker, "make_notes");
  auto add_note = sluice::open_operation<new_note, note_id>(*broker, "add_note");
  auto list_notes = sluice::open_operation<sluice::no_arguments, std::vector<note>>(*broker, "list_notes");
  if (!make_notes || !add_note || !list_notes)
    return failed(!make_notes ? make_notes.error() : !add_note ? add_note.error() : list_notes.error());

  if (auto made = (*make_notes)({}); !made)
    return failed(made.error());
  auto added = (*add_note)({"hello", 5}, {.agent = "alice"});
  if (!added)
    return failed(added.error());
  auto all = (*list_notes)({});
  if (!all)
    return failed(all.error());
  for (const auto& each : *all)
    fmt::print("note {}: {}, rating {}\n", each.id, each.text, each.rating.value_or(0));

  // Arguments are checked before anything is executed.
  if (auto refused = (*add_note)({"", {}}); !refused)
    fmt::print("refused: {}\n", sluice::describe(refused.error()).message);

  // Both queries see the same commits.
  auto db = broker->open_database("notes.db");
  if (!db)
    return failed(db.error());
  auto error = db->with_snapshot({"host"}, [](sluice::snapshot& view) {
    auto notes = view.query("SELECT count(*) FROM notes");
    auto history = view.query("SELECT count(*) FROM history");
    if (notes && history)
      fmt::print("{} notes, {} entries\n", *notes->rows->at(0, 0).integer(), *history->rows->at(0, 0).integer());
  });
  return error ? failed(error) : 0;
}

} // namespace

int main(int argc, char** argv) { return run(argc > 1 ? argv[1] : "."); }
