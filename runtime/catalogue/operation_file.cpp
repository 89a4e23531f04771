#include "runtime/catalogue/operation_file.hpp"

#include "actors/base/sql_tokens.hpp"
#include "actors/base/utf8_text.hpp"
#include "messages/error.hpp"
#include "runtime/catalogue/annotation.hpp"
#include "runtime/catalogue/operation_check.hpp"
#include "runtime/catalogue/sql_facts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>

namespace sluice {

namespace {

constexpr std::string_view utf8_mark = "\xef\xbb\xbf";

// The operation whose lines are being read.
struct unfinished_operation {
  operation content;
  annotation_lines lines;
  size_t tier_line = 0;
  // Whether its name can be used; otherwise the operation is read for its mistakes alone.
  bool has_name = false;
  // The line in which a comment would go on with the description; 0 when it has ended.
  size_t header_line = 0;
  // Where its SQL begins and ends; equal when there is none yet.
  size_t sql_begin = 0;
  size_t sql_end = 0;

  bool has_sql() const noexcept { return sql_end > sql_begin; }
};

// Reads a file token by token, and the comments between the tokens. So a literal, a block comment or the body of a
// trigger that holds something like an annotation is not cut.
class file_reader {
public:
  file_reader(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  caf::expected<std::vector<operation>> run() {
    if (auto why = why_unreadable(); !why.empty())
      add_mistake(line_, std::move(why));
    else
      read_all();
    if (mistakes_.empty())
      return std::move(operations_);
    auto first = std::min_element(mistakes_.begin(), mistakes_.end(),
                                  [](const file_mistake& a, const file_mistake& b) { return a.line < b.line; });
    return make_error(errc::invalid_request, fmt::format("{}:{}: {}", file_, first->line, first->reason));
  }

private:
  void add_mistake(size_t line, std::string reason) { mistakes_.push_back({line, std::move(reason)}); }

  // Sets `line_` to where the reason is.
  std::string why_unreadable() {
    if (text_.size() > max_operation_file_bytes)
      return fmt::format("the file has {} bytes, and may have {}; split it", text_.size(), max_operation_file_bytes);
    auto is_usable = [](std::string_view line) { return is_utf8(line) && line.find('\0') == std::string_view::npos; };
    if (is_usable(text_))
      return {};
    auto rest = text_;
    for (auto line = take_line(rest); is_usable(line); line = take_line(rest))
      ++line_;
    return "this line is not UTF-8 text; save the file as UTF-8";
  }

  static std::string_view take_line(std::string_view& rest) {
    auto result = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(result.size() + 1, rest.size()));
    return result;
  }

  void read_all() {
    if (text_.starts_with(utf8_mark))
      text_.remove_prefix(utf8_mark.size());
    auto rest = text_;
    for (;;) {
      auto begin = text_.size() - rest.size();
      auto token = take_token(rest);
      auto end = text_.size() - rest.size() - token.text.size();
      read_gap(begin, end);
      if (token.kind == sql_token_kind::end)
        break;
      read_token(token, end);
    }
    close_operation();
  }

  // Blanks and comments.
  void read_gap(size_t begin, size_t end) {
    for (auto at = begin; at < end;) {
      auto rest = text_.substr(at, end - at);
      if (rest.starts_with("--")) {
        auto comment = rest.substr(0, rest.find('\n'));
        read_comment(trimmed(comment.substr(2)));
        at += comment.size();
      } else if (rest.starts_with("/*")) {
        auto close = rest.find("*/", 2);
        if (close == std::string_view::npos)
          add_mistake(line_, "this comment does not end; write */ behind it");
        auto comment = rest.substr(0, close == std::string_view::npos ? rest.size() : close + 2);
        if (auto why = is_line_begun_ ? std::string{} : block_comment_mistake(comment); !why.empty())
          add_mistake(line_, std::move(why));
        pass_over(comment);
        at += comment.size();
      } else {
        pass_over(rest.substr(0, 1));
        ++at;
      }
    }
  }

  // Counts the lines of `part`, which is no comment of a line.
  void pass_over(std::string_view part) {
    auto lines = std::count(part.begin(), part.end(), '\n');
    line_ += static_cast<size_t>(lines);
    if (lines > 0)
      is_line_begun_ = false;
    auto last = part.substr(part.rfind('\n') + 1);
    if (!trimmed(last).empty())
      is_line_begun_ = true;
  }

  void read_token(const sql_token& token, size_t at) {
    if (token.kind == sql_token_kind::quoted && at + token.text.size() == text_.size() && is_unclosed(token.text))
      add_mistake(line_, fmt::format("the text or name behind this {} does not end; close it", token.text.front()));
    if (!open_ && !has_sql_outside_) {
      has_sql_outside_ = true;
      add_mistake(line_, "there is SQL before the first operation; begin it with -- name: add_note :exec");
    } else if (open_) {
      if (!open_->has_sql()) {
        open_->sql_begin = at;
        sql_line_ = line_;
      }
      open_->sql_end = at + token.text.size();
    }
    pass_over(token.text);
  }

  void read_comment(std::string_view comment) {
    auto found = read_annotation(comment);
    if (is_line_begun_) {
      if (is_lost_behind_sql(found))
        add_mistake(line_, "an annotation must be the first on its line; put it on a line of its own");
      return;
    }
    if (open_ && open_->header_line != line_)
      open_->header_line = 0;
    if (!found.mistake.empty())
      add_mistake(line_, std::move(found.mistake));
    else if (found.kind == annotation_kind::name)
      begin_operation(found.rest);
    else if (found.kind == annotation_kind::db)
      set_database(found.rest);
    else if (found.kind == annotation_kind::returning)
      add_returning_line(found.rest);
    else if (found.kind == annotation_kind::none)
      describe_operation(comment);
    else
      set_property(found);
    if (open_ && open_->header_line != 0)
      open_->header_line = line_ + 1;
  }

  // Behind SQL, comments are free; but an operation that begins there would be lost.
  static bool is_lost_behind_sql(const annotation& found) {
    returning_line ignored;
    return found.kind == annotation_kind::name || found.kind == annotation_kind::db
           || (found.kind == annotation_kind::returning && read_returning_line(found.rest, ignored).empty());
  }

  void set_database(std::string_view name) {
    if (open_)
      add_mistake(line_, "the database must stand before the first operation; write a file for each database");
    else if (!database_.empty())
      add_mistake(line_, fmt::format("the file is for {} already; write a file for each database", database_));
    else if (auto why = read_db_line(name, database_); !why.empty())
      add_mistake(line_, std::move(why));
    has_db_line_ = true;
  }

  void add_returning_line(std::string_view text) {
    returning_line result;
    result.line = line_;
    if (!open_)
      add_mistake(line_, "this annotation stands before the first operation; move it above a statement");
    else if (auto why = read_returning_line(text, result); !why.empty())
      add_mistake(line_, std::move(why));
    else
      open_->lines.returning.push_back(std::move(result));
  }

  void begin_operation(std::string_view name) {
    close_operation();
    if (!has_db_line_)
      add_mistake(line_, "there is no database for this operation; begin the file with -- db: app.db");
    // The first operation without a database stands for all of them.
    has_db_line_ = true;
    open_.emplace();
    open_->content.database = database_;
    open_->content.file = file_;
    open_->content.line = line_;
    open_->header_line = line_ + 1;
    if (auto why = read_name_and_kind(name, open_->content); !why.empty()) {
      add_mistake(line_, std::move(why));
      return;
    }
    open_->has_name = true;
    const auto& chosen = open_->content.name;
    if (auto [other, is_new] = names_.emplace(chosen, line_); !is_new)
      add_mistake(line_,
                  fmt::format("operation {} is already defined in line {}; rename one of them", chosen, other->second));
  }

  void describe_operation(std::string_view comment) {
    if (!open_ || open_->has_sql() || open_->header_line == 0)
      return;
    std::string text{comment};
    std::replace(text.begin(), text.end(), '\t', ' ');
    if (has_control(text))
      add_mistake(line_, "the description holds a control character; remove it");
    auto& description = open_->content.description;
    // An empty comment separates paragraphs, but begins none.
    if (!description.empty() || !text.empty())
      description += text + '\n';
  }

  void set_property(const annotation& found) {
    if (!open_ || open_->has_sql()) {
      add_mistake(line_, open_ ? "this annotation stands behind the SQL; move it to the lines below -- name:"
                               : "this annotation stands before the first operation; move it below a -- name: line");
      return;
    }
    if (auto* place = place_of(found.kind)) {
      if (*place != 0 && found.kind != annotation_kind::column)
        add_mistake(line_, fmt::format("this was said in line {} already; remove one of them", *place));
      *place = line_;
    }
    auto parameters = open_->content.parameters.size();
    if (auto why = read_property(found, open_->content); !why.empty())
      add_mistake(line_, std::move(why));
    if (open_->content.parameters.size() > parameters)
      open_->lines.parameters.push_back(line_);
  }

  // Where the line of an annotation is remembered; null for `param`.
  size_t* place_of(annotation_kind kind) {
    switch (kind) {
    case annotation_kind::cache: return &open_->lines.cache;
    case annotation_kind::expect: return &open_->lines.expect;
    case annotation_kind::foreign_keys: return &open_->lines.foreign_keys;
    case annotation_kind::column: return &open_->lines.column;
    case annotation_kind::tier: return &open_->tier_line;
    default: return nullptr;
    }
  }

  void close_operation() {
    if (!open_)
      return;
    auto& content = open_->content;
    while (content.description.ends_with('\n'))
      content.description.pop_back();
    auto sql = text_.substr(open_->sql_begin, open_->sql_end - open_->sql_begin);
    auto found = complete_operation(content, sql, sql_line_, open_->lines);
    // Without a name, messages would be about nothing.
    if (open_->has_name)
      mistakes_.insert(mistakes_.end(), found.begin(), found.end());
    operations_.push_back(std::move(content));
    open_.reset();
  }

  std::string_view text_;
  std::string_view file_;
  // Where the reader is, and whether anything but blanks is before it in this line.
  size_t line_ = 1;
  bool is_line_begun_ = false;
  std::string database_;
  bool has_db_line_ = false;
  bool has_sql_outside_ = false;
  std::optional<unfinished_operation> open_;
  // The line in which the SQL of the open operation begins.
  size_t sql_line_ = 0;
  std::unordered_map<std::string, size_t> names_;
  std::vector<operation> operations_;
  std::vector<file_mistake> mistakes_;
};

} // namespace

caf::expected<std::vector<operation>> parse_operation_file(std::string_view text, std::string_view file) {
  return file_reader{text, file}.run();
}

} // namespace sluice
