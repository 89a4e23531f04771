#include "runtime/sqlite/core/result_code.hpp"

#include <sqlite3.h>

#include <cerrno>
#include <string_view>

namespace sluice::sqlite {

namespace {

constexpr int primary(int code) noexcept { return code & 0xff; }

// SQLite's message, for failures that are about the SQL or its data.
bool speaks_of_the_sql(int code) noexcept {
  switch (primary(code)) {
  case SQLITE_ERROR:
  case SQLITE_CONSTRAINT:
  case SQLITE_MISMATCH:
  case SQLITE_RANGE:
  case SQLITE_AUTH: return true;
  default: return false;
  }
}

// The broker's own functions name the bound that was exceeded.
bool names_its_bound(sqlite3* db, int code) noexcept {
  return primary(code) == SQLITE_TOOBIG && sqlite3_extended_errcode(db) == code
         && std::string_view{sqlite3_errmsg(db)} != sqlite3_errstr(SQLITE_TOOBIG);
}

const char* own_words(int code, errc as) noexcept {
  switch (primary(code)) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
  case SQLITE_PROTOCOL: return "a process outside the broker holds the lock of this database";
  case SQLITE_SCHEMA: return "the schema of this database keeps changing";
  case SQLITE_FULL: return "the disk is full";
  case SQLITE_IOERR:
  case SQLITE_NOLFS: return "the disk reported an error";
  case SQLITE_CORRUPT: return "the database file is damaged";
  case SQLITE_NOTADB: return "file is not a database";
  case SQLITE_READONLY: return "the database may not be written";
  case SQLITE_PERM: return "the operating system refused access to the database file";
  case SQLITE_CANTOPEN: return "the database file cannot be opened";
  case SQLITE_TOOBIG:
    return "a value, a row or the statement would be larger than max_value_bytes allows; send it in parts, or raise "
           "the "
           "setting";
  case SQLITE_NOMEM: return "out of memory: the statement needs more than there is, or than max_sqlite_bytes allows";
  case SQLITE_INTERRUPT:
    return as == errc::cancelled ? "the request was cancelled while it ran" : "the request ran past its deadline";
  default: return "unexpected SQLite result code";
  }
}

// SQLite uses SQLITE_FULL only for a page of the database or its log. The errno is that of the last failed system call,
// so it counts only for the codes of system calls.
bool lacks_space(sqlite3* db, int code) noexcept {
  auto is_of_system = primary(code) == SQLITE_IOERR || primary(code) == SQLITE_CANTOPEN;
  if (!db || !is_of_system || sqlite3_extended_errcode(db) != code)
    return false;
  auto number = sqlite3_system_errno(db);
  return number == ENOSPC || number == EDQUOT;
}

} // namespace

errc classify(int code, errc interrupted) noexcept {
  switch (primary(code)) {
  case SQLITE_ERROR:
  case SQLITE_MISMATCH: return errc::sql_error;
  case SQLITE_RANGE: return errc::invalid_request;
  case SQLITE_CONSTRAINT: return errc::constraint;
  // These pass like a lock: a schema that changed faster than SQLite could prepare statements again, and a lost race
  // for WAL locks.
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
  case SQLITE_PROTOCOL:
  case SQLITE_SCHEMA: return errc::busy;
  case SQLITE_FULL: return errc::disk_full;
  case SQLITE_IOERR:
  case SQLITE_CANTOPEN:
  case SQLITE_NOLFS: return errc::io_error;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB: return errc::corrupt;
  case SQLITE_READONLY: return errc::read_only;
  case SQLITE_PERM:
  case SQLITE_AUTH: return errc::not_authorized;
  case SQLITE_TOOBIG: return errc::too_large;
  case SQLITE_NOMEM: return errc::unavailable;
  case SQLITE_INTERRUPT: return interrupted;
  default: return errc::internal;
  }
}

caf::error to_error(sqlite3* db, int code, errc interrupted) {
  if (lacks_space(db, code))
    code = SQLITE_FULL;
  auto as = classify(code, interrupted);
  if (db && (speaks_of_the_sql(code) || names_its_bound(db, code)))
    return make_error(as, sqlite3_errmsg(db));
  std::string words = own_words(code, as);
  if (as == errc::io_error || as == errc::corrupt || as == errc::internal)
    words += " (SQLite code " + std::to_string(code) + ")";
  return make_error(as, std::move(words));
}

bool spoils_connection(int code) noexcept {
  switch (primary(code)) {
  case SQLITE_IOERR:
  case SQLITE_NOTADB:
  case SQLITE_CANTOPEN:
  case SQLITE_NOMEM:
  case SQLITE_MISUSE:
  case SQLITE_INTERNAL: return true;
  // A virtual table that misses its own shadow tables says nothing about the file.
  case SQLITE_CORRUPT: return code != SQLITE_CORRUPT_VTAB;
  case SQLITE_READONLY: return code != SQLITE_READONLY;
  default: return false;
  }
}

bool spoils_connection(errc code) noexcept {
  return code == errc::io_error || code == errc::corrupt || code == errc::internal;
}

} // namespace sluice::sqlite
