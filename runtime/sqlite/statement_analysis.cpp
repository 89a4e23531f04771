#include "runtime/sqlite/statement_analysis.hpp"

#include "runtime/sqlite/ledger_schema.hpp"
#include "runtime/sqlite/sql_scan.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <utility>

namespace sluice::sqlite {

namespace {

constexpr const char* transaction_reason = "a request is a transaction of its own; send a list of statements to apply "
                                           "them together";
constexpr const char* ledger_names_reason =
  "the name _sluice, and names that begin with _sluice_, belong to the ledger";
constexpr const char* one_file_reason = "a broker serves one file per database";

struct refused_keyword {
  std::string_view word;
  const char* reason;
};

constexpr std::array refused_keywords{
  refused_keyword{"ATTACH", one_file_reason},
  refused_keyword{"DETACH", one_file_reason},
  refused_keyword{"PRAGMA", "the broker sets its connections up itself; read pragma_table_info() and its like instead"},
  refused_keyword{"BEGIN", transaction_reason},
  refused_keyword{"COMMIT", transaction_reason},
  refused_keyword{"END", transaction_reason},
  refused_keyword{"ROLLBACK", transaction_reason},
  refused_keyword{"SAVEPOINT", transaction_reason},
  refused_keyword{"RELEASE", transaction_reason},
  refused_keyword{"VACUUM", "it needs the file for itself, and a broker's writer and readers hold it open"},
};

std::string not_allowed(std::string_view what, const char* reason) {
  return std::string{what} + " is not allowed in a request: " + reason;
}

const char* reason_for(std::string_view keyword) {
  auto found =
    std::find_if(refused_keywords.begin(), refused_keywords.end(), [&](const auto& x) { return x.word == keyword; });
  return found == refused_keywords.end() ? nullptr : found->reason;
}

void add(std::vector<std::string>& to, std::string_view name) {
  if (!name.empty() && std::find(to.begin(), to.end(), name) == to.end())
    to.emplace_back(name);
}

std::string_view view_of(const char* text) { return text ? std::string_view{text} : std::string_view{}; }

} // namespace

statement_analyzer::statement_analyzer(const connection& db) : db_(db), schema_(db) {
  sqlite3_set_authorizer(db.handle(), &statement_analyzer::on_action, this);
}

statement_analyzer::~statement_analyzer() { sqlite3_set_authorizer(db_.handle(), nullptr, nullptr); }

caf::expected<analyzed_statement> statement_analyzer::prepare(std::string_view sql) {
  // These can only begin a statement. VACUUM never reaches the authorizer, and some pragmas act while being prepared.
  auto keyword = leading_keyword(sql);
  if (const auto* reason = reason_for(keyword))
    return make_error(errc::invalid_request, not_allowed(keyword, reason));
  recording seen;
  recording_ = &seen;
  auto stmt = prepared_statement::prepare(db_, sql);
  recording_ = nullptr;
  if (!stmt)
    return seen.refusal ? std::move(seen.refusal) : std::move(stmt.error());
  // ALTER TABLE ... RENAME does not tell the authorizer the new name.
  if (seen.schema_change && !seen.view_only && mentions_ledger_name(folded(sql)))
    return make_error(errc::not_authorized, ledger_names_reason);
  if (sqlite3_stmt_readonly(stmt->handle()) != 0 && sqlite3_stmt_isexplain(stmt->handle()) == 0)
    if (auto added = add_opened(sql, seen); !added)
      return std::move(added.error());
  auto facts = derive(seen, *stmt);
  if (!facts)
    return std::move(facts.error());
  return analyzed_statement{std::move(*stmt), std::move(*facts)};
}

int statement_analyzer::on_action(void* self, int action, const char* first, const char* second, const char* database,
                                  const char* trigger) noexcept {
  auto& analyzer = *static_cast<statement_analyzer*>(self);
  if (!analyzer.recording_)
    return SQLITE_OK;
  return analyzer.record(action, view_of(first), view_of(second), view_of(database), trigger == nullptr);
}

int statement_analyzer::record(int action, std::string_view first, std::string_view second, std::string_view database,
                               bool direct) {
  auto& seen = *recording_;
  switch (action) {
  case SQLITE_READ: add(seen.reads, first); return SQLITE_OK;
  case SQLITE_SELECT:
  case SQLITE_RECURSIVE: return SQLITE_OK;
  case SQLITE_INSERT:
  case SQLITE_UPDATE:
  case SQLITE_DELETE:
    if (is_ledger_name(first))
      return refuse(errc::not_authorized, "the tables of the ledger (_sluice_*) may be read only");
    add(seen.writes, first);
    seen.row_change |= direct;
    seen.insert |= direct && action == SQLITE_INSERT;
    return SQLITE_OK;
  case SQLITE_FUNCTION:
    if (sqlite3_stricmp(second.data(), "load_extension") == 0 || sqlite3_stricmp(second.data(), "fts3_tokenizer") == 0)
      return refuse(errc::not_authorized, not_allowed(second, "it loads code into the broker"));
    add(seen.functions, second);
    return SQLITE_OK;
  case SQLITE_ANALYZE:
  case SQLITE_REINDEX: seen.maintenance = true; return SQLITE_OK;
  case SQLITE_PRAGMA:
    // Not ours, see `prepare`; full-text search asks for these when it first opens a table.
    return first == "page_size" || first == "data_version" ? SQLITE_OK
                                                           : refuse(errc::invalid_request, "PRAGMA is not allowed");
  case SQLITE_ATTACH:
  case SQLITE_DETACH: return refuse(errc::invalid_request, not_allowed("ATTACH", one_file_reason));
  case SQLITE_TRANSACTION:
  case SQLITE_SAVEPOINT: return refuse(errc::invalid_request, not_allowed("a transaction", transaction_reason));
  default: return record_schema_change(action, first, second, database);
  }
}

int statement_analyzer::record_schema_change(int action, std::string_view first, std::string_view second,
                                             std::string_view database) {
  auto& seen = *recording_;
  seen.schema_change = true;
  seen.view_only &= action == SQLITE_CREATE_VIEW || action == SQLITE_DROP_VIEW;
  switch (action) {
  case SQLITE_CREATE_TEMP_INDEX:
  case SQLITE_CREATE_TEMP_TABLE:
  case SQLITE_CREATE_TEMP_TRIGGER:
  case SQLITE_CREATE_TEMP_VIEW:
  case SQLITE_DROP_TEMP_INDEX:
  case SQLITE_DROP_TEMP_TABLE:
  case SQLITE_DROP_TEMP_TRIGGER:
  case SQLITE_DROP_TEMP_VIEW: database = "temp"; break;
  default: break;
  }
  if (database == "temp")
    return refuse(errc::invalid_request,
                  not_allowed("a temporary object", "requests of one agent share no connection, so it would be lost"));
  if (is_ledger_name(first) || is_ledger_name(second))
    return refuse(errc::not_authorized, ledger_names_reason);
  return SQLITE_OK;
}

int statement_analyzer::refuse(errc code, std::string why) {
  if (!recording_->refusal)
    recording_->refusal = make_error(code, std::move(why));
  return SQLITE_DENY;
}

// The authorizer hears nothing of columns that are only compared, by USING or NATURAL, and so may hear nothing of their
// table. What the statement opens tells.
caf::expected<void> statement_analyzer::add_opened(std::string_view sql, recording& seen) {
  auto program = prepared_statement::prepare(db_, "EXPLAIN " + std::string{sql});
  if (!program)
    return std::move(program.error());
  std::vector<std::string> virtual_tables;
  std::vector<int64_t> roots;
  for (;;) {
    auto row = program->step();
    if (!row)
      return std::move(row.error());
    if (!*row)
      break;
    constexpr int opcode = 1, root_page = 3, database = 4, object = 5;
    auto what = program->text(opcode);
    if (what == "VOpen")
      add(virtual_tables, program->text(object));
    else if ((what == "OpenRead" || what == "ReopenIdx") && program->integer(database) == 0)
      roots.push_back(program->integer(root_page));
  }
  for (auto root : roots) {
    auto table = schema_.table_at(root);
    if (!table)
      return std::move(table.error());
    add(seen.reads, *table);
  }
  // A virtual table has no page to be known by.
  size_t known = 0;
  for (const auto& name : seen.reads) {
    auto kind = schema_.classify(name);
    if (!kind)
      return std::move(kind.error());
    known += *kind == relation::indexed || *kind == relation::opaque || *kind == relation::pure_function ? 1 : 0;
  }
  seen.all_known = virtual_tables.size() <= known;
  return caf::unit;
}

caf::expected<statement_facts> statement_analyzer::derive(const recording& seen, const prepared_statement& stmt) {
  statement_facts facts;
  auto explains = sqlite3_stmt_isexplain(stmt.handle()) != 0;
  auto reads = derive_reads(seen, explains);
  if (!reads)
    return std::move(reads.error());
  facts.reads = std::move(*reads);
  facts.read_only = explains || (sqlite3_stmt_readonly(stmt.handle()) != 0 && !seen.schema_change);
  facts.changes_schema = seen.schema_change && !explains;
  if (explains)
    return facts;
  facts.changes_rows = seen.row_change && !seen.schema_change && !seen.maintenance;
  facts.inserts = facts.changes_rows && seen.insert;
  facts.uses_last_rowid =
    std::find(seen.functions.begin(), seen.functions.end(), "last_insert_rowid") != seen.functions.end();
  for (const auto& name : seen.writes) {
    auto is_virtual = schema_.is_virtual(name);
    auto shadows = is_virtual && *is_virtual ? schema_.shadow_tables(name) : std::vector<std::string>{};
    if (!is_virtual || !shadows)
      return is_virtual ? std::move(shadows.error()) : std::move(is_virtual.error());
    if (!*is_virtual)
      continue;
    facts.written_virtual.push_back(name);
    for (auto& shadow : *shadows)
      facts.written_virtual.push_back(std::move(shadow));
  }
  return facts;
}

caf::expected<std::shared_ptr<const read_set>> statement_analyzer::derive_reads(const recording& seen, bool explains) {
  read_set result;
  result.deterministic = !explains && seen.all_known;
  for (const auto& name : seen.reads) {
    auto kind = schema_.classify(name);
    if (!kind)
      return std::move(kind.error());
    if (*kind == relation::schema)
      add(result.tables, "sqlite_schema");
    else if (*kind != relation::derived && *kind != relation::pure_function)
      add(result.tables, name);
    result.deterministic &= *kind != relation::opaque;
  }
  for (const auto& name : seen.functions) {
    auto same = schema_.deterministic(name);
    if (!same)
      return std::move(same.error());
    result.deterministic &= *same;
  }
  return std::make_shared<const read_set>(std::move(result));
}

} // namespace sluice::sqlite
