#include "runtime/validate/source_tokens.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace sluice::validate {

namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// Bytes beyond ASCII belong to words of most languages.
bool begins_word(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

// After these words a slash begins a regular expression in JavaScript.
constexpr std::array<std::string_view, 10> words_before_value{"return", "typeof", "case", "in",    "of",
                                                              "delete", "void",   "else", "await", "yield"};

class lexer {
public:
  lexer(std::string_view source, language of) : source_(source), of_(of) {}

  std::vector<token> run() {
    if (source_.starts_with("#!"))
      skip_line();
    while (at_ < source_.size())
      step();
    return std::move(tokens_);
  }

private:
  char peek(size_t ahead = 0) const noexcept { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }

  bool is(language one) const noexcept { return of_ == one; }

  void add(token_kind kind, size_t begin, size_t end) { tokens_.push_back({kind, source_.substr(begin, end - begin)}); }

  void step() {
    auto c = peek();
    if (c == '\n')
      end_line();
    else if (c == ' ' || c == '\t' || c == '\r')
      ++at_;
    else if (skip_comment())
      return;
    else if (begins_word(c) || (c == '$' && is(language::javascript)))
      read_word();
    else if (is_digit(c))
      read_number();
    else if (c == '"' || c == '\'')
      read_quoted(c);
    else if (c == '`' && is(language::go))
      read_until("`", 1);
    else if (c == '`' && is(language::javascript))
      read_template();
    else if (c == '/' && is(language::javascript) && may_begin_value())
      skip_regular_expression();
    else
      read_symbol(c);
  }

  void end_line() {
    auto continues = at_ > 0 && source_[at_ - 1] == '\\';
    if (is(language::python) && !continues)
      add(token_kind::line_end, at_, at_ + 1);
    ++at_;
  }

  void read_symbol(char c) {
    add(token_kind::symbol, at_, at_ + 1);
    ++at_;
    if (templates_.empty())
      return;
    // The end of `${}`: its template continues.
    if (c == '{')
      ++templates_.back();
    else if (c == '}' && templates_.back()-- == 0) {
      templates_.pop_back();
      tokens_.pop_back();
      read_template_text(at_);
    }
  }

  bool skip_comment() {
    if (is(language::python)) {
      if (peek() != '#')
        return false;
      skip_line();
    } else if (peek() == '/' && peek(1) == '/') {
      skip_line();
    } else if (peek() == '/' && peek(1) == '*') {
      skip_block_comment();
    } else {
      return false;
    }
    return true;
  }

  void skip_line() {
    do {
      at_ = std::min(source_.find('\n', at_ + 1), source_.size());
      // In C a backslash continues a comment, too.
    } while (is(language::c) && at_ < source_.size() && source_[at_ - 1] == '\\');
  }

  void skip_block_comment() {
    at_ += 2;
    for (size_t depth = 1; depth > 0 && at_ < source_.size();) {
      if (peek() == '*' && peek(1) == '/') {
        --depth;
        at_ += 2;
      } else if (is(language::rust) && peek() == '/' && peek(1) == '*') {
        ++depth;
        at_ += 2;
      } else {
        ++at_;
      }
    }
    at_ = std::min(at_, source_.size());
  }

  void read_word() {
    auto begin = at_;
    while (begins_word(peek()) || is_digit(peek()) || (peek() == '$' && is(language::javascript)))
      ++at_;
    auto word = source_.substr(begin, at_ - begin);
    if (!read_prefixed(word))
      add(token_kind::word, begin, at_);
  }

  // Reads a literal whose prefix is `word`, if there is one.
  bool read_prefixed(std::string_view word) {
    if (is(language::c) && word.ends_with('R') && word.size() <= 3 && peek() == '"')
      read_raw_c();
    else if (is(language::rust) && (word == "r" || word == "br" || word == "cr") && (peek() == '"' || peek() == '#'))
      return read_raw_rust();
    else if ((is(language::rust) && (word == "b" || word == "c")) || (is(language::c) && is_c_prefix(word)))
      return peek() == '"' || peek() == '\'' ? (read_quoted(peek()), true) : false;
    else if (is(language::python) && is_python_prefix(word) && (peek() == '"' || peek() == '\''))
      read_quoted(peek());
    else
      return false;
    return true;
  }

  static bool is_c_prefix(std::string_view word) noexcept {
    return word == "L" || word == "u" || word == "U" || word == "u8";
  }

  static bool is_python_prefix(std::string_view word) noexcept {
    return word.size() <= 2 && word.find_first_not_of("rRbBfFuUtT") == std::string_view::npos;
  }

  // R"delimiter(text)delimiter"
  void read_raw_c() {
    constexpr size_t longest_delimiter = 16;
    auto open = source_.substr(at_, longest_delimiter + 2).find('(');
    if (open == std::string_view::npos)
      return read_quoted('"');
    auto end = ")" + std::string{source_.substr(at_ + 1, open - 1)} + "\"";
    read_until(end, open + 1);
  }

  // r#"text"#; but r#type is a word.
  bool read_raw_rust() {
    size_t hashes = 0;
    while (peek(hashes) == '#')
      ++hashes;
    if (peek(hashes) != '"')
      return false;
    read_until("\"" + std::string(hashes, '#'), hashes + 1);
    return true;
  }

  // A literal without escapes, whose text begins `skip` bytes from here.
  void read_until(std::string_view end, size_t skip) {
    auto begin = std::min(at_ + skip, source_.size());
    auto found = std::min(source_.find(end, begin), source_.size());
    add(token_kind::string, begin, found);
    at_ = std::min(found + end.size(), source_.size());
  }

  void read_number() {
    auto begin = at_;
    // In C a quote separates digits: 1'000.
    while (begins_word(peek()) || is_digit(peek()) || (peek() == '\'' && is(language::c) && begins_digits_at(1)))
      ++at_;
    add(token_kind::number, begin, at_);
  }

  bool begins_digits_at(size_t ahead) const noexcept { return is_digit(peek(ahead)) || begins_word(peek(ahead)); }

  void read_quoted(char quote) {
    if (is(language::rust) && quote == '\'' && !is_rust_character())
      return read_symbol(quote);
    if (is(language::python) && peek(1) == quote && peek(2) == quote)
      return read_escaped(std::string(3, quote), true);
    read_escaped(std::string(1, quote), is(language::rust));
  }

  // 'a' and '\n' are characters, 'a without an end is a lifetime.
  bool is_rust_character() const noexcept {
    constexpr size_t longest_character = 4;
    if (peek(1) == '\\')
      return true;
    for (size_t i = 2; i <= longest_character + 1; ++i)
      if (peek(i) == '\'')
        return i == 2 || static_cast<unsigned char>(peek(1)) >= 0x80;
    return false;
  }

  void read_escaped(std::string_view end, bool has_lines) {
    auto begin = at_ + end.size();
    for (at_ = begin; at_ < source_.size(); ++at_) {
      if (source_[at_] == '\\')
        ++at_;
      else if (source_.substr(at_).starts_with(end))
        break;
      else if (source_[at_] == '\n' && !has_lines)
        return add(token_kind::string, begin, at_);
    }
    at_ = std::min(at_, source_.size());
    add(token_kind::string, begin, at_);
    at_ = std::min(at_ + end.size(), source_.size());
  }

  void read_template() { read_template_text(at_ + 1); }

  // The text of a template up to its end, or up to code in it, which is read as code.
  void read_template_text(size_t begin) {
    for (at_ = begin; at_ < source_.size(); ++at_) {
      if (source_[at_] == '\\')
        ++at_;
      else if (source_[at_] == '`')
        break;
      else if (source_[at_] == '$' && peek(1) == '{') {
        add(token_kind::string, begin, at_);
        at_ += 2;
        templates_.push_back(0);
        return;
      }
    }
    at_ = std::min(at_, source_.size());
    add(token_kind::string, begin, at_);
    at_ = std::min(at_ + 1, source_.size());
  }

  bool may_begin_value() const noexcept {
    if (tokens_.empty())
      return true;
    const auto& last = tokens_.back();
    if (last.kind == token_kind::word)
      return std::find(words_before_value.begin(), words_before_value.end(), last.text) != words_before_value.end();
    return last.kind == token_kind::symbol && std::string_view{")]}"}.find(last.text[0]) == std::string_view::npos;
  }

  void skip_regular_expression() {
    auto in_class = false;
    for (++at_; at_ < source_.size() && peek() != '\n'; ++at_) {
      if (peek() == '\\')
        ++at_;
      else if (peek() == '[' || peek() == ']')
        in_class = peek() == '[';
      else if (peek() == '/' && !in_class)
        break;
    }
    if (peek() == '/')
      ++at_;
    at_ = std::min(at_, source_.size());
    tokens_.push_back({token_kind::number, source_.substr(at_, 0)});
  }

  std::string_view source_;
  language of_;
  size_t at_ = 0;
  std::vector<token> tokens_;
  // For each `${` that is open the number of braces that are open in it.
  std::vector<size_t> templates_;
};

} // namespace

std::vector<token> tokens_of(std::string_view source, language of) { return lexer{source, of}.run(); }

} // namespace sluice::validate
