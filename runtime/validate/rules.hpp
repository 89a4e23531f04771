#pragma once

#include "runtime/validate/source_tokens.hpp"

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What the rules of all languages share, and the rules of each.
namespace sluice::validate {

namespace rule {

constexpr std::string_view c_sqlite3_open = "c-sqlite3-open";
constexpr std::string_view cpp_wrapper = "cpp-wrapper";
constexpr std::string_view rust_crate = "rust-crate";
constexpr std::string_view go_database_sql = "go-database-sql";
constexpr std::string_view go_package = "go-package";
constexpr std::string_view python_module = "python-module";
constexpr std::string_view js_module = "js-module";
constexpr std::string_view orm = "orm";
constexpr std::string_view sqlite_url = "sqlite-url";
constexpr std::string_view sqlite3_program = "sqlite3-program";

} // namespace rule

/// A finding before its place is counted.
struct match {
  /// A part of the source.
  std::string_view at;
  std::string_view rule;
  std::string text;
};

using matches = std::vector<match>;

/// Names that a source imports, under the names that it uses: `import sqlite3 as s` binds `s` to `sqlite3`. Names count
/// in the whole source, whatever their scope.
class imported_names {
public:
  void bind(std::string_view local, std::string qualified) { names_[std::string{local}] = std::move(qualified); }
  /// Everything in `scope` is visible under its own name.
  void bind_all(std::string scope) {
    if (scopes_.size() < most_scopes)
      scopes_.push_back(std::move(scope));
  }

  /// What `local` may stand for: its import, and what each of the scopes that are visible as a whole may have.
  /// @param separator between a scope and a name in it
  std::vector<std::string> resolve(std::span<const std::string_view> chain, std::string_view separator) const;

private:
  // Each name is looked for in each of them.
  static constexpr size_t most_scopes = 50;

  std::map<std::string, std::string, std::less<>> names_;
  std::vector<std::string> scopes_;
};

/// A name with its scopes: `a.b.c`.
struct name_chain {
  std::vector<std::string_view> parts;
  /// The index of the token behind it.
  size_t end = 0;
};

/// The chain that begins with the word at `i`. @param separator `.` or `::`
name_chain chain_at(const token_view& tokens, size_t i, std::string_view separator);

/// Whether the word at `i` is the member of something before it.
bool is_member(const token_view& tokens, size_t i, std::string_view separator) noexcept;

std::string joined(std::span<const std::string_view> parts, std::string_view separator);

/// Whether the name is that of a database in memory that no other process can open.
bool is_private_memory(std::string_view database) noexcept;

/// Whether the call with its parenthesis at `open` names such a database first.
bool opens_memory(const token_view& tokens, size_t open) noexcept;

/// The first string among the next tokens behind the parenthesis at `open`, inside of the call; null if there is none.
const token* first_string(const token_view& tokens, size_t open) noexcept;

/// What all languages but shell have in common: functions of the C library, URLs of
/// databases, and the program sqlite3.
void match_common(const token_view& tokens, matches& out);

void match_c(const token_view& tokens, matches& out);
void match_rust(const token_view& tokens, matches& out);
void match_go(const token_view& tokens, matches& out);
void match_python(const token_view& tokens, matches& out);
void match_javascript(const token_view& tokens, matches& out);
void match_shell(std::string_view source, matches& out);

/// Whether the word is the name or path of a program that opens SQLite files: `sqlite3`, `/usr/bin/sqlite3`.
bool is_sqlite_program(std::string_view word) noexcept;

} // namespace sluice::validate
