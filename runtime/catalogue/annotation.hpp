#pragma once

#include "runtime/catalogue/operation.hpp"

#include <cstdint>
#include <string>
#include <string_view>

/// The comment lines of an operation file that mean something, one at a time. Pure functions, safe from any thread.
///
/// Those that read a line answer with the reason why it cannot be used, for people and without the place; empty if it
/// was read.
namespace sluice {

enum class annotation_kind : uint8_t { none, db, name, param, tier, cache, expect, column, foreign_keys, returning };

struct annotation {
  /// `none` for a free comment.
  annotation_kind kind = annotation_kind::none;
  /// What follows the keyword, without blanks around it.
  std::string_view rest;
  /// Why the line looks like an annotation and is none; empty if it is one, or a free comment.
  std::string mistake;
};

/// What the comment line `text` is (without its `--`, and without blanks around it). An annotation begins with one of
/// the keywords in lower case, `name` and `db` with a colon behind them, the others with a blank or nothing.
///
/// Any other line whose first word is a keyword is a mistake. The word begins at the first letter, digit or `_`, so
/// that further dashes and other marks do not count, and ends before any other character. Capitals and `_` do not
/// count, one edit is allowed (of `db` and `name` only with a colon behind the word), and `foreign keys` is one word.
///
/// So is one that begins with any word of lower-case letters, digits and `_` with a colon. `https://`, `std::` and a
/// colon behind a single letter or a number are free.
annotation read_annotation(std::string_view text);

/// Why `comment`, a block comment with its marks, looks like an annotation by the same rule; empty if it does not.
std::string block_comment_mistake(std::string_view comment);

/// The same of a comment of either kind that is meant to be a `kind`, for files that have no other annotations. Of one
/// of a line the `--` is left out.
std::string misspelled_annotation(std::string_view comment, annotation_kind kind);

/// `text` without blanks around it.
std::string_view trimmed(std::string_view text) noexcept;

/// `app.db`: a path within the store root.
std::string read_db_line(std::string_view text, std::string& to);

/// `add_note :one`
std::string read_name_and_kind(std::string_view text, operation& to);

/// A `returning` line: the value of a column, which later statements use as a parameter.
struct returning_line {
  std::string column;
  std::string parameter;
  /// Where it stands in the file, from 1.
  size_t line = 0;
};

/// `id into note_id`
std::string read_returning_line(std::string_view text, returning_line& to);

/// Any of the others, into the member of `to` that it is about. A parameter or a column that is there already is a
/// mistake; whether another annotation is given twice is the caller's to know.
std::string read_property(const annotation& source, operation& to);

} // namespace sluice
