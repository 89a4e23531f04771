#include "runtime/sqlite/ledger/ledger_repair.hpp"

#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/ledger/key_clock.hpp"
#include "runtime/sqlite/ledger/ledger_meta.hpp"
#include "runtime/sqlite/ledger/ledger_reader.hpp"
#include "runtime/sqlite/ledger/ledger_schema.hpp"

#include <algorithm>

namespace sluice::sqlite {

namespace {

// The damage that requires a repair; empty if there is none.
caf::expected<std::string> find_damage(const connection& db, ledger_fault fault,
                                       const std::filesystem::path& key_file) {
  const std::string contradiction = fault == ledger_fault::none ? "" : "it contradicts the audit";
  auto as_damage = [](const caf::error& why) -> caf::expected<std::string> {
    if (code_of(why) == errc::ledger_damaged)
      return describe(why).message;
    return why;
  };
  auto present = has_ledger(db);
  if (!present)
    return as_damage(present.error());
  if (!*present)
    return contradiction;
  auto state = read_ledger_state(db);
  if (!state)
    return as_damage(state.error());
  if (!contradiction.empty())
    return contradiction;
  auto chain = verify_chain(db, state->epoch, key_file);
  if (!chain)
    return as_damage(chain.error());
  return chain->verdict.problems.empty() ? chain->verdict.reason : chain->verdict.problems.front();
}

std::string identifier(std::string_view name) {
  std::string result = "\"";
  for (auto c : name)
    result += c == '"' ? std::string{"\"\""} : std::string{c};
  return result + '"';
}

class repair {
public:
  repair(connection& db, const ledger_standing& known, const clock& time, const std::filesystem::path& key_file)
    : db_(db), known_(known), time_(time), key_file_(key_file) {}

  caf::expected<ledger_repair> run() {
    for (auto step : {&repair::clear_names, &repair::make_tables, &repair::remove_impossible_rows,
                      &repair::accept_anchor, &repair::begin_epoch})
      if (auto done = (this->*step)(); !done)
        return std::move(done.error());
    return std::move(out_);
  }

private:
  caf::expected<void> exec(const std::string& sql) { return db_.exec(sql.c_str()); }

  caf::expected<void> clear_names() {
    // Dropping or renaming one object may affect others: triggers of a view, shadow tables of a virtual table.
    for (auto rounds = 0; rounds < 1'000; ++rounds) {
      auto found = find_ledger_objects(db_);
      if (!found)
        return std::move(found.error());
      if (found->unknown.empty())
        return caf::unit;
      if (auto done = clear(choose(found->unknown)); !done)
        return done;
    }
    return make_error(errc::ledger_damaged, "the objects on the ledger's tables cannot be removed");
  }

  // Tables come last, and virtual ones before those that may be their shadow tables.
  static const unknown_object& choose(const std::vector<unknown_object>& from) {
    auto rank = [](const unknown_object& object) {
      return object.type != "table" ? 0 : object.sql.starts_with("CREATE VIRTUAL") ? 1 : 2;
    };
    return *std::min_element(from.begin(), from.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  }

  caf::expected<void> clear(const unknown_object& object) {
    if (object.type != "table") {
      out_.actions.push_back("dropped the " + object.type + " '" + object.name + "' (" + object.sql + ")");
      return exec("DROP " + object.type + " " + identifier(object.name));
    }
    auto name = "set_aside" + object.name;
    for (auto i = 2; is_taken(name); ++i)
      name = "set_aside" + std::to_string(i) + object.name;
    out_.actions.push_back("renamed the table '" + object.name + "' to '" + name + "'");
    return exec("ALTER TABLE " + identifier(object.name) + " RENAME TO " + identifier(name));
  }

  bool is_taken(const std::string& name) {
    auto stmt = prepared_statement::prepare(db_, "SELECT 1 FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE");
    if (!stmt)
      return false;
    stmt->bind_text(1, name);
    auto row = stmt->step();
    return row && *row;
  }

  caf::expected<void> make_tables() {
    auto found = find_ledger_objects(db_);
    if (!found)
      return std::move(found.error());
    for (size_t i = 0; i < ledger_tables.size(); ++i) {
      if (found->present[i])
        continue;
      out_.actions.push_back("made the table " + std::string{ledger_tables[i].name});
      if (auto made = exec(std::string{ledger_tables[i].sql}); !made)
        return made;
    }
    return write_format(db_);
  }

  caf::expected<void> remove_impossible_rows() {
    auto last = std::to_string(last_plausible_number);
    auto outside = [&](const std::string& column) {
      return "(typeof(" + column + ") <> 'integer' OR " + column + " < 1 OR " + column + " > " + last + ")";
    };
    for (const auto& [table, where] :
         {std::pair{std::string{"_sluice_commits"}, outside("commit_seq")},
          std::pair{std::string{"_sluice_keys"},
                    outside("id") + " OR " + outside("commit_seq") + " OR " + outside("created_us")}}) {
      auto count = read_number(db_, "SELECT count(*) FROM " + table + " WHERE " + where);
      if (!count)
        return std::move(count.error());
      if (*count == 0)
        continue;
      out_.actions.push_back("removed " + std::to_string(*count) + " rows with impossible numbers from " + table);
      if (auto done = exec("DELETE FROM " + table + " WHERE " + where); !done)
        return done;
    }
    return caf::unit;
  }

  // A person has decided that the commits may begin where they do. An unreadable anchor is removed: the new epoch then
  // covers the gap before the first record.
  caf::expected<void> accept_anchor() {
    auto anchor = read_ledger_anchor(db_);
    auto removed = !anchor;
    if (anchor && *anchor && !doubt_about_ledger(**anchor, key_file_).empty()) {
      auto last = find_commit(db_, static_cast<uint64_t>((*anchor)->seq) + 1);
      auto key = key_file_.empty() ? caf::expected<signing_key>{caf::error{}} : signing_key::open_or_make(key_file_);
      removed = !last || !*last || !key;
      if (!removed) {
        out_.actions.push_back("signed the anchor behind commit " + std::to_string((*anchor)->seq) + " anew");
        return write_ledger_anchor(db_, std::move(**anchor), *key);
      }
    }
    if (!removed)
      return caf::unit;
    out_.actions.push_back("removed the anchor of its commits, which cannot be relied on");
    return exec("DELETE FROM _sluice_meta WHERE name = 'anchor'");
  }

  caf::expected<void> begin_epoch() {
    auto head = read_number(db_, "SELECT coalesce(max(commit_seq), 0) FROM _sluice_commits");
    auto key_seq = read_number(db_, "SELECT coalesce(max(commit_seq), 0) FROM _sluice_keys");
    auto key_id = read_number(db_, "SELECT coalesce(max(id), 0) FROM _sluice_keys");
    for (auto* part : {&head, &key_seq, &key_id})
      if (!*part)
        return std::move(part->error());
    auto last = std::max({static_cast<uint64_t>(*head), static_cast<uint64_t>(*key_seq), known_.issued});
    // An unreadable row is ignored.
    auto before = read_epoch(db_);
    auto number = before ? before->number + 1 : 1;
    auto hash = find_commit(db_, static_cast<uint64_t>(*head));
    if (!hash)
      return std::move(hash.error());
    auto head_hash = *hash ? **hash : std::string{};
    out_.epoch = {number, new_epoch_id(time_, last + 1, head_hash), last + 1, 0};
    if (auto done = keep_clock(*key_id, last); !done)
      return done;
    auto chain = verify_chain(db_, out_.epoch);
    if (!chain)
      return std::move(chain.error());
    out_.epoch.broken_before = chain->broken_before_epoch;
    if (auto done = write_epoch(db_, out_.epoch); !done)
      return done;
    out_.actions.push_back("began epoch " + std::to_string(number) + " of the ledger; its first commit is "
                           + std::to_string(last + 1));
    out_.standing = {last, static_cast<uint64_t>(*head), head_hash, out_.epoch.id, {}};
    return caf::unit;
  }

  // Keys that are missing now will not be reported again.
  caf::expected<void> keep_clock(int64_t key_id, uint64_t last) {
    auto kept = read_key_time(db_);
    if (kept && *kept) {
      (*kept)->pruned_seq = last;
      return write_key_time(db_, **kept);
    }
    key_clock clock{time_};
    clock.begin(key_id, last);
    return write_key_time(db_, clock.kept());
  }

  connection& db_;
  const ledger_standing& known_;
  const clock& time_;
  const std::filesystem::path& key_file_;
  ledger_repair out_;
};

} // namespace

caf::expected<ledger_repair> repair_ledger(const std::filesystem::path& path, const ledger_standing& known,
                                           ledger_fault fault, const clock& time,
                                           const std::filesystem::path& key_file) {
  {
    // The check changes nothing, not even the journal mode of a file that never belonged to sluice.
    auto db = connection::open(path, {});
    if (!db)
      return std::move(db.error());
    auto damage = find_damage(*db, fault, key_file);
    if (!damage)
      return std::move(damage.error());
    if (damage->empty())
      return ledger_repair{};
  }
  connection_options options;
  options.mode = open_mode::read_write_create;
  auto db = connection::open(path, options);
  if (!db)
    return std::move(db.error());
  // Otherwise an invalid view somewhere would prevent tables from being renamed.
  if (auto begun = db->exec("PRAGMA legacy_alter_table = ON; BEGIN IMMEDIATE"); !begun)
    return std::move(begun.error());
  auto done = repair{*db, known, time, key_file}.run();
  auto ended = done ? db->exec("COMMIT") : db->exec("ROLLBACK");
  if (done && !ended)
    return std::move(ended.error());
  return done;
}

} // namespace sluice::sqlite
