#include "runtime/sqlite/core/statement_analysis.hpp"

#include "actors/base/sql_tokens.hpp"
#include "actors/base/utf8_text.hpp"
#include "runtime/sqlite/core/double_quotes.hpp"
#include "runtime/sqlite/core/leading_keyword.hpp"
#include "runtime/sqlite/core/text_encoding.hpp"
#include "runtime/sqlite/ledger/ledger_schema.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace sluice::sqlite {

namespace {

constexpr const char* transaction_reason = "a request is a transaction of its own; send a list of statements to apply "
                                           "them together";
constexpr const char* ledger_names_reason =
  "the name _sluice, and names that begin with _sluice_, belong to the ledger";
constexpr const char* one_file_reason = "a broker serves one file per database";
constexpr const char* pragma_reason = "the broker sets its connections up itself; read pragma_table_info() and its "
                                      "like instead. PRAGMA user_version and defer_foreign_keys = ON are allowed";

struct refused_keyword {
  std::string_view word;
  const char* reason;
};

constexpr std::array refused_keywords{
  refused_keyword{"ATTACH", one_file_reason},
  refused_keyword{"DETACH", one_file_reason},
  refused_keyword{"BEGIN", transaction_reason},
  refused_keyword{"COMMIT", transaction_reason},
  refused_keyword{"END", transaction_reason},
  refused_keyword{"ROLLBACK", transaction_reason},
  refused_keyword{"SAVEPOINT", transaction_reason},
  refused_keyword{"RELEASE", transaction_reason},
  refused_keyword{"VACUUM", "it needs the file for itself, and a broker's writer and readers hold it open"},
};

std::string not_allowed(std::string_view action, const char* reason) {
  return std::string{action} + " is not allowed in a request: " + reason;
}

const char* reason_for(std::string_view keyword) {
  auto found =
    std::find_if(refused_keywords.begin(), refused_keywords.end(), [&](const auto& x) { return x.word == keyword; });
  return found == refused_keywords.end() ? nullptr : found->reason;
}

void add_name(std::vector<std::string>& to, std::string_view name) {
  if (!name.empty() && std::find(to.begin(), to.end(), name) == to.end())
    to.emplace_back(name);
}

// A number in SQLite's syntax: decimal with or without a sign, or hexadecimal.
bool is_32_bit_integer(std::string_view text) noexcept {
  auto is_hexadecimal = text.starts_with("0x");
  auto prefix = is_hexadecimal ? size_t{2} : text.starts_with("+") ? size_t{1} : size_t{0};
  text.remove_prefix(prefix);
  if (prefix > 0 && text.starts_with("-"))
    return false;
  int32_t number = 0;
  const auto* end = text.data() + text.size();
  auto read = std::from_chars(text.data(), end, number, is_hexadecimal ? 16 : 10);
  return read.ec == std::errc{} && read.ptr == end;
}

// Programs that used SQLite directly may have relied on its reading such a name as a text.
caf::error with_quoting_advice(caf::error error, std::string_view sql) {
  auto cause = describe(error);
  auto column = missing_column(cause.message);
  if (cause.code != errc::sql_error || column.empty() || !mentions_in_double_quotes(sql, column))
    return error;
  cause.message += "; double quotes are for names, a text is in single quotes";
  return make_error(std::move(cause));
}

std::string_view view_of(const char* text) { return text ? std::string_view{text} : std::string_view{}; }

} // namespace

statement_analyzer::statement_analyzer(const connection& db) : db_(db), schema_(db) {
  sqlite3_set_authorizer(db.handle(), &statement_analyzer::on_action, this);
}

statement_analyzer::~statement_analyzer() { sqlite3_set_authorizer(db_.handle(), nullptr, nullptr); }

caf::expected<analyzed_statement> statement_analyzer::prepare(std::string_view sql) {
  // These can only begin a statement. VACUUM never reaches the authorizer, and some pragmas act while they are
  // prepared.
  auto keyword = leading_keyword(sql);
  if (const auto* reason = reason_for(keyword))
    return make_error(errc::invalid_request, not_allowed(keyword, reason));
  // Not while recording, because the function runs a pragma. SQL that is not UTF-8 is refused below.
  if (is_utf8(sql) && !fits_utf16(sql) && stores_utf16(db_.handle()))
    return make_error(errc::invalid_request, "the SQL holds U+FFFE or U+FFFF, which SQLite replaces in a UTF-16 "
                                             "database; give the text as a blob");
  recording seen;
  seen.pragma = keyword == "PRAGMA";
  // The pragma would act nevertheless.
  if (seen.pragma && starts_with_name(skip_to_statement(sql), "explain"))
    return make_error(errc::invalid_request, not_allowed("EXPLAIN PRAGMA", pragma_reason));
  if (auto done = prepare_for(keyword); !done)
    return std::move(done.error());
  auto text = text_of(sql, keyword);
  recording_ = &seen;
  auto stmt = prepared_statement::prepare(db_, text);
  recording_ = nullptr;
  if (!stmt && !seen.refusal) {
    auto accepts = accepts_text_for(stmt.error());
    if (!accepts)
      return std::move(accepts.error());
    if (*accepts)
      return prepare(sql);
  }
  if (!stmt)
    return seen.refusal ? std::move(seen.refusal) : with_quoting_advice(std::move(stmt.error()), sql);
  // The authorizer does not get the new name in ALTER TABLE ... RENAME.
  if (seen.schema_change && !seen.view_only && mentions_ledger_name(folded_name(sql)))
    return make_error(errc::not_authorized, ledger_names_reason);
  if (sqlite3_stmt_readonly(stmt->handle()) != 0 && sqlite3_stmt_isexplain(stmt->handle()) == 0 && !seen.pragma)
    if (auto added = add_opened(text, seen); !added)
      return std::move(added.error());
  auto facts = derive(seen, *stmt);
  if (!facts)
    return std::move(facts.error());
  facts->single_use |= text_in_definitions_;
  if (sql.find('"') != std::string_view::npos)
    facts->created = std::move(seen.created);
  return analyzed_statement{std::move(*stmt), std::move(*facts), text != sql};
}

// Renaming parses the schema again as if it came from a request.
caf::expected<void> statement_analyzer::prepare_for(std::string_view keyword) {
  auto alters = keyword == "ALTER";
  if (alters && !text_in_definitions_) {
    auto objects = find_double_quoted_text(db_);
    if (!objects)
      return std::move(objects.error());
    alters = !objects->empty();
  }
  if (alters != text_in_definitions_)
    set_up_text(text_in_statements_ || alters, alters);
  return caf::unit;
}

// The schema stores the text of definitions unchanged; this setting does not affect their SELECTs and CHECKs.
std::string statement_analyzer::text_of(std::string_view sql, std::string_view keyword) const {
  auto is_kept = keyword == "CREATE" && !creates_from_select(sql);
  return text_in_statements_ && !is_kept ? with_backticks(sql) : std::string{sql};
}

caf::expected<bool> statement_analyzer::accepts_text_for(const caf::error& cause) {
  if (text_in_statements_ || code_of(cause) != errc::sql_error)
    return false;
  auto message = describe(cause).message;
  auto column = missing_column(message);
  if (column.empty())
    return false;
  auto quoted = is_quoted_in_schema(db_, column);
  if (quoted && *quoted)
    set_up_text(true, false);
  return quoted;
}

// SQLite then prepares every statement again when it runs next.
void statement_analyzer::set_up_text(bool in_statements, bool in_definitions) noexcept {
  text_in_statements_ = in_statements;
  text_in_definitions_ = in_definitions;
  sqlite3_db_config(db_.handle(), SQLITE_DBCONFIG_DQS_DML, in_statements ? 1 : 0, nullptr);
  sqlite3_db_config(db_.handle(), SQLITE_DBCONFIG_DQS_DDL, in_definitions ? 1 : 0, nullptr);
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
  case SQLITE_READ: add_name(seen.reads, first); return SQLITE_OK;
  case SQLITE_SELECT:
  case SQLITE_RECURSIVE: return SQLITE_OK;
  case SQLITE_INSERT:
  case SQLITE_UPDATE:
  case SQLITE_DELETE:
    if (is_ledger_name(first))
      return refuse(errc::not_authorized, "the tables of the ledger (_sluice_*) may be read only");
    add_name(seen.writes, first);
    seen.row_change |= direct;
    seen.insert |= direct && action == SQLITE_INSERT;
    return SQLITE_OK;
  case SQLITE_FUNCTION:
    if (sqlite3_stricmp(second.data(), "load_extension") == 0 || sqlite3_stricmp(second.data(), "fts3_tokenizer") == 0)
      return refuse(errc::not_authorized, not_allowed(second, "it loads code into the broker"));
    add_name(seen.functions, second);
    return SQLITE_OK;
  case SQLITE_ANALYZE:
  case SQLITE_REINDEX: seen.maintenance = true; return SQLITE_OK;
  case SQLITE_PRAGMA:
    if (seen.pragma)
      return record_pragma(first, second, database);
    // Not part of the request, see `prepare`; full-text search reads these when it first opens a table.
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
  if (action == SQLITE_DROP_TABLE)
    seen.dropped_table = first;
  if (action == SQLITE_CREATE_VIEW || action == SQLITE_CREATE_TRIGGER)
    seen.created = (action == SQLITE_CREATE_VIEW ? "view " : "trigger ") + std::string{first};
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

int statement_analyzer::record_pragma(std::string_view name, std::string_view argument, std::string_view database) {
  auto own_file = database.empty() || database == "main";
  auto word = folded_name(name);
  auto value = folded_name(argument);
  // When the deferral is disabled, SQLite drops the violations that it has counted.
  auto sets = argument.data() != nullptr;
  auto defers =
    word == "defer_foreign_keys" && (!sets || value == "on" || value == "true" || value == "yes" || value == "1");
  if (!own_file || (word != "user_version" && !defers))
    return refuse(errc::invalid_request, not_allowed("PRAGMA", pragma_reason));
  if (sets && word == "user_version" && !is_32_bit_integer(value))
    return refuse(errc::invalid_request,
                  "PRAGMA user_version takes an integer from -2147483648 to 2147483647, and not '"
                    + std::string{argument} + "', which SQLite would store as another number");
  recording_->pragma_sets = sets;
  return SQLITE_OK;
}

int statement_analyzer::refuse(errc code, std::string cause) {
  if (!recording_->refusal)
    recording_->refusal = make_error(code, std::move(cause));
  return SQLITE_DENY;
}

// SQLite does not report columns that are only compared by USING or NATURAL to the authorizer, and therefore may not
// report their table. This adds the tables that the statement opens.
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
    auto name = program->text(opcode);
    if (name == "VOpen")
      add_name(virtual_tables, program->text(object));
    else if ((name == "OpenRead" || name == "ReopenIdx") && program->integer(database) == 0)
      roots.push_back(program->integer(root_page));
  }
  for (auto root : roots) {
    auto table = schema_.table_at(root);
    if (!table)
      return std::move(table.error());
    add_name(seen.reads, *table);
  }
  // A virtual table has no root page that identifies it.
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
  facts.read_only = explains || (sqlite3_stmt_readonly(stmt.handle()) != 0 && !seen.schema_change && !seen.pragma_sets);
  facts.changes_schema = seen.schema_change && !explains;
  facts.dropped_table = seen.dropped_table;
  facts.single_use = seen.pragma;
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
  result.deterministic = !explains && !seen.pragma && seen.all_known;
  for (const auto& name : seen.reads) {
    auto kind = schema_.classify(name);
    if (!kind)
      return std::move(kind.error());
    if (*kind == relation::schema)
      add_name(result.tables, "sqlite_schema");
    else if (*kind != relation::derived && *kind != relation::pure_function)
      add_name(result.tables, name);
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
