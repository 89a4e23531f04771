#include "runtime/validate/rules.hpp"

#include <algorithm>
#include <array>

namespace sluice::validate {

namespace {

// The word behind one of these begins a command.
constexpr std::array<std::string_view, 12> shell_keywords{"then",  "do",   "else", "elif", "if", "while",
                                                          "until", "time", "!",    "{",    "in", "coproc"};

// Commands that run the command behind their options.
constexpr std::array<std::string_view, 11> runners{"sudo",  "doas", "env",  "exec",    "command", "nohup",
                                                   "xargs", "nice", "time", "timeout", "setsid"};

// Their options that take a word.
constexpr std::array<std::string_view, 9> options_with_word{"-u", "-g", "-n", "-I", "-P", "-L", "-s", "-k", "-C"};

// Commands whose argument is a script.
constexpr std::array<std::string_view, 6> shells{"sh", "bash", "dash", "zsh", "ksh", "eval"};

// Options of sqlite3 that open no database.
constexpr std::array<std::string_view, 3> harmless_options{"version", "help", "-version"};

template <class List> bool is_in(const List& list, std::string_view word) noexcept {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\r'; }

struct shell_word {
  // As the shell sees it, without quotes; what is substituted is left out.
  std::string text;
  std::string_view at;
  // It was written in quotes as a whole.
  bool is_quoted = false;
};

// Cuts a script into commands, and those in `$()` and backquotes as well.
class shell_scanner {
public:
  shell_scanner(std::string_view source, matches& out, size_t depth) : source_(source), out_(out), depth_(depth) {}

  void run() { read_commands('\0'); }

private:
  // Deeper quotes, substitutions and parameters are not taken apart.
  static constexpr size_t deepest = 40;
  static constexpr size_t longest_arithmetic = 1000;

  char peek(size_t ahead = 0) const noexcept { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }

  // Up to the character `end`, which is read too; up to the end of the source if there is none.
  void read_commands(char end) {
    while (at_ < source_.size()) {
      auto c = peek();
      if (c == end && end != '\0') {
        ++at_;
        return end_command();
      }
      if (c == '\n') {
        end_command();
        ++at_;
        skip_here_documents();
      } else if (is_blank(c)) {
        ++at_;
      } else if (c == '#') {
        at_ = std::min(source_.find('\n', at_), source_.size());
      } else if (c == '<' && peek(1) == '<' && peek(2) != '<') {
        read_here_document();
      } else if (c == '<' || c == '>') {
        skip_redirection();
      } else if (c == '(' && is_behind_equals()) {
        skip_array();
      } else if (c == '(' && peek(1) == '(' && skip_arithmetic(0)) {
        continue;
      } else if (std::string_view{";&|()"}.find(c) != std::string_view::npos) {
        end_command();
        ++at_;
      } else {
        read_word();
      }
    }
    end_command();
  }

  bool is_behind_equals() const {
    return !words_.empty() && words_.back().at.ends_with('=')
           && words_.back().at.data() + words_.back().at.size() == source_.data() + at_;
  }

  // names=(a b c), which may have several lines; the commands in its words are read.
  void skip_array() {
    auto kept = std::move(words_);
    for (++at_; at_ < source_.size() && peek() != ')';) {
      if (peek() == '#')
        at_ = std::min(source_.find('\n', at_), source_.size());
      else if (is_blank(peek()) || peek() == '\n')
        ++at_;
      else
        read_word();
    }
    at_ = std::min(at_ + 1, source_.size());
    words_ = std::move(kept);
  }

  // ((x << 2)), whose parentheses begin `skip` bytes from here. Returns false if they do not end soon in this line.
  bool skip_arithmetic(size_t skip) {
    size_t open = 0;
    const auto end = std::min(at_ + longest_arithmetic, source_.size());
    for (auto i = at_ + skip; i < end && source_[i] != '\n'; ++i) {
      open += source_[i] == '(' ? 1 : 0;
      if (source_[i] == ')' && --open == 0) {
        at_ = i + 1;
        return true;
      }
    }
    return false;
  }

  void skip_redirection() {
    // 2>file
    if (!words_.empty() && words_.back().at.data() + words_.back().at.size() == source_.data() + at_
        && words_.back().text.find_first_not_of("0123456789") == std::string::npos)
      words_.pop_back();
    while (peek() == '<' || peek() == '>' || peek() == '&' || peek() == '|')
      ++at_;
    // <(command) is a command.
    if (peek() == '(')
      return;
    while (is_blank(peek()))
      ++at_;
    auto kept = std::move(words_);
    read_word();
    words_ = std::move(kept);
  }

  void read_here_document() {
    at_ += 2;
    auto has_tabs = peek() == '-';
    at_ += has_tabs ? 1 : 0;
    while (is_blank(peek()))
      ++at_;
    auto kept = std::move(words_);
    words_.clear();
    read_word();
    auto end = words_.empty() ? std::string{} : words_.back().text;
    words_ = std::move(kept);
    if (!end.empty())
      here_documents_.push_back({std::move(end), has_tabs});
  }

  void skip_here_documents() {
    for (const auto& [end, has_tabs] : here_documents_)
      while (at_ < source_.size()) {
        auto line = source_.substr(at_, source_.find('\n', at_) - at_);
        at_ = std::min(at_ + line.size() + 1, source_.size());
        if (has_tabs)
          line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));
        if (line == end)
          break;
      }
    here_documents_.clear();
  }

  void read_word() {
    shell_word word;
    auto begin = at_;
    word.is_quoted = peek() == '"' || peek() == '\'';
    while (at_ < source_.size() && std::string_view{" \t\r\n;&|()<>"}.find(peek()) == std::string_view::npos)
      read_piece(word.text);
    if (at_ == begin)
      ++at_;
    word.at = source_.substr(begin, at_ - begin);
    words_.push_back(std::move(word));
  }

  void read_piece(std::string& text) {
    auto c = peek();
    if (depth_ >= deepest && (c == '"' || c == '`' || c == '$')) {
      text += c;
      ++at_;
      return;
    }
    switch (c) {
    case '\\':
      if (peek(1) != '\n' && at_ + 1 < source_.size())
        text += peek(1);
      at_ = std::min(at_ + 2, source_.size());
      return;
    case '\'': {
      auto end = std::min(source_.find('\'', at_ + 1), source_.size());
      text += source_.substr(at_ + 1, end - at_ - 1);
      at_ = std::min(end + 1, source_.size());
      return;
    }
    case '"': return read_double_quotes(text);
    case '`': return read_substitution(1, '`');
    case '$':
      if (peek(1) == '\'')
        return read_escaped();
      if (peek(1) == '(' && peek(2) == '(' && skip_arithmetic(1))
        return;
      if (peek(1) == '(')
        return read_substitution(2, ')');
      if (peek(1) == '{')
        return skip_parameter();
      [[fallthrough]];
    default: text += c; ++at_;
    }
  }

  // $'...', which names no program of ours.
  void read_escaped() {
    for (at_ += 2; at_ < source_.size() && peek() != '\'';)
      at_ += peek() == '\\' ? 2 : 1;
    at_ = std::min(at_ + 1, source_.size());
  }

  void read_double_quotes(std::string& text) {
    ++depth_;
    for (++at_; at_ < source_.size() && peek() != '"';)
      if (peek() == '\'') {
        text += '\'';
        ++at_;
      } else {
        read_piece(text);
      }
    --depth_;
    at_ = std::min(at_ + 1, source_.size());
  }

  // The commands in it are commands of their own.
  void read_substitution(size_t skip, char end) {
    at_ += skip;
    ++depth_;
    auto kept = std::move(words_);
    words_.clear();
    read_commands(end);
    words_ = std::move(kept);
    --depth_;
  }

  void skip_parameter() {
    ++depth_;
    for (at_ += 2; at_ < source_.size() && peek() != '}' && peek() != '\n';) {
      std::string ignored;
      read_piece(ignored);
    }
    --depth_;
    if (peek() == '}')
      ++at_;
  }

  void end_command() {
    auto words = std::move(words_);
    words_.clear();
    auto first = command_in(words);
    if (first < words.size())
      match_command(words, first);
  }

  static bool is_assignment(std::string_view word) noexcept {
    auto equals = word.find('=');
    return equals != std::string_view::npos && equals > 0
           && word.substr(0, equals).find_first_of("/-$") == std::string_view::npos;
  }

  // The index of the word that names the program.
  static size_t command_in(const std::vector<shell_word>& words) {
    auto behind_runner = false;
    for (size_t i = 0; i < words.size(); ++i) {
      const auto& word = words[i].text;
      if (is_assignment(word) || (!behind_runner && is_in(shell_keywords, word)))
        continue;
      auto name = std::string_view{word}.substr(word.rfind('/') + 1);
      if (is_in(runners, name)) {
        // `command -v sqlite3` asks where it is.
        if (name == "command" && i + 1 < words.size() && (words[i + 1].text == "-v" || words[i + 1].text == "-V"))
          return words.size();
        behind_runner = true;
      } else if (behind_runner && is_in(options_with_word, word)) {
        ++i;
      } else if (!behind_runner || word.find_first_not_of("0123456789.smhd{}") == std::string::npos
                 || word.starts_with('-')) {
        if (!behind_runner)
          return i;
      } else {
        return i;
      }
    }
    return words.size();
  }

  void match_command(const std::vector<shell_word>& words, size_t first) {
    const auto& name = words[first].text;
    if (is_sqlite_program(name)) {
      if (!opens_nothing(words, first))
        out_.push_back({words[first].at, rule::sqlite3_program, name});
      return;
    }
    if (!is_in(shells, std::string_view{name}.substr(name.rfind('/') + 1)) || depth_ >= deepest)
      return;
    for (auto i = first + 1; i < words.size(); ++i)
      if (words[i].is_quoted) {
        matches inner;
        shell_scanner{words[i].text, inner, depth_ + 1}.run();
        // Its place is that of the script.
        for (auto& each : inner)
          out_.push_back({words[i].at, each.rule, std::move(each.text)});
      }
  }

  static bool opens_nothing(const std::vector<shell_word>& words, size_t program) {
    for (auto i = program + 1; i < words.size(); ++i) {
      std::string_view word = words[i].text;
      if (word.starts_with('-') && is_in(harmless_options, word.substr(1)))
        return true;
      if (is_private_memory(word))
        return true;
      if (!word.starts_with('-'))
        return false;
    }
    return false;
  }

  std::string_view source_;
  matches& out_;
  size_t depth_;
  size_t at_ = 0;
  std::vector<shell_word> words_;
  std::vector<std::pair<std::string, bool>> here_documents_;
};

} // namespace

void match_shell(std::string_view source, matches& out) { shell_scanner{source, out, 0}.run(); }

} // namespace sluice::validate
