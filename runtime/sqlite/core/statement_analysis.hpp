#pragma once

#include "messages/read.hpp"
#include "runtime/sqlite/core/connection.hpp"
#include "runtime/sqlite/core/schema_facts.hpp"
#include "runtime/sqlite/core/statement.hpp"

#include <caf/expected.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::sqlite {

/// The effects of a statement, as SQLite's authorizer reported them when it was prepared. Valid for the schema at that
/// time.
struct statement_facts {
  /// Never null. `sqlite_schema` stands for the schema itself.
  std::shared_ptr<const read_set> reads;
  /// The virtual tables that it or its triggers may write, each with its shadow tables.
  std::vector<std::string> written_virtual;
  /// Whether it is an INSERT, UPDATE or DELETE; and whether it is an INSERT.
  bool changes_rows = false;
  bool inserts = false;
  /// It or one of its triggers calls `last_insert_rowid()`.
  bool uses_last_rowid = false;
  /// It may create, alter or drop something.
  bool changes_schema = false;
  /// The table that it drops, if any; if foreign keys refer to it, SQLite deletes the rows first.
  std::string dropped_table;
  /// The view or trigger that it creates, as "view v1", if its text has double quotes. SQLite does not look up columns
  /// before such an object is used.
  std::string created;
  /// It depends on the connection's setup at the time of preparation, or changes the setup: it must be prepared for
  /// each execution.
  bool single_use = false;
  /// It changes neither the file nor the schema.
  bool read_only = false;
};

/// A request's statement, ready to run.
struct analyzed_statement {
  prepared_statement stmt;
  statement_facts facts;
  /// The SQL that was prepared has backticks for the double quotes of the request.
  bool has_backticks = false;
};

/// Prepares the statements of requests on one connection, and analyzes their effects. Refuses, with the reason,
/// statements that a request must not contain: those that open files, change the connection's setup (except `PRAGMA
/// user_version` and `defer_foreign_keys`), begin or end transactions, use temporary objects, or write the ledger's
/// tables (`_sluice_*`).
///
/// Refuses text in double quotes in requests, but accepts it in views and triggers of the schema: once one is found
/// there, the connection accepts it, and requests are prepared with backticks instead.
///
/// Installs the connection's authorizer and removes it when it ends; ignores everything else that is prepared, such as
/// the statements that a virtual table prepares for itself.
class statement_analyzer {
public:
  /// `db` outlives this.
  explicit statement_analyzer(const connection& db);
  ~statement_analyzer();
  statement_analyzer(const statement_analyzer&) = delete;
  statement_analyzer& operator=(const statement_analyzer&) = delete;

  /// Prepares exactly one statement. `errc::invalid_request` or `not_authorized` with the reason when it is refused,
  /// otherwise as `prepared_statement::prepare`.
  caf::expected<analyzed_statement> prepare(std::string_view sql);

private:
  struct recording {
    std::vector<std::string> reads;
    std::vector<std::string> writes;
    std::vector<std::string> functions;
    bool row_change = false;
    bool insert = false;
    bool maintenance = false;
    bool schema_change = false;
    bool view_only = true;
    bool pragma = false;
    bool pragma_sets = false;
    std::string dropped_table;
    std::string created;
    // Whether every relation that is read is in `reads`.
    bool all_known = true;
    caf::error refusal;
  };

  static int on_action(void* self, int action, const char* first, const char* second, const char* database,
                       const char* trigger) noexcept;
  int record(int action, std::string_view first, std::string_view second, std::string_view database, bool direct);
  int record_schema_change(int action, std::string_view first, std::string_view second, std::string_view database);
  int record_pragma(std::string_view name, std::string_view argument, std::string_view database);
  int refuse(errc code, std::string error);
  caf::expected<void> add_opened(std::string_view sql, recording& seen);
  caf::expected<statement_facts> derive(const recording& seen, const prepared_statement& stmt);
  caf::expected<std::shared_ptr<const read_set>> derive_reads(const recording& seen, bool explains);

  caf::expected<void> prepare_for(std::string_view keyword);
  std::string text_of(std::string_view sql, std::string_view keyword) const;
  caf::expected<bool> accepts_text_for(const caf::error& error);
  void set_up_text(bool in_statements, bool in_definitions) noexcept;

  const connection& db_;
  schema_facts schema_;
  // Whether the connection accepts text in double quotes where views and triggers are used, and where the schema is
  // parsed.
  bool text_in_statements_ = false;
  bool text_in_definitions_ = false;
  recording* recording_ = nullptr;
};

} // namespace sluice::sqlite
