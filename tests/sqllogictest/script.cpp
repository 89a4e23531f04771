#include "tests/sqllogictest/script.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace sluice::test {

namespace {

struct script_line {
  size_t number = 0;
  std::string text;

  bool blank() const { return text.empty(); }
};

// Removes comments, which may be on any line, and white space at the end of a line.
std::vector<script_line> lines_of(const std::string& text) {
  std::vector<script_line> result;
  std::istringstream in{text};
  size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.starts_with('#'))
      continue;
    if (line.ends_with('\r'))
      line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos)
      line.clear();
    result.push_back({number, std::move(line)});
  }
  return result;
}

class parser {
public:
  parser(const std::string& name, const std::string& text, const std::vector<std::string>& engines)
    : name_(name), engines_(engines), lines_(lines_of(text)) {}

  std::vector<script_record> all() {
    std::vector<script_record> result;
    while (skip_blank_lines())
      result.push_back(next());
    return result;
  }

private:
  bool at_end() const { return at_ == lines_.size(); }

  bool skip_blank_lines() {
    while (!at_end() && lines_[at_].blank())
      ++at_;
    return !at_end();
  }

  script_record next() {
    script_record result;
    auto words = take_words();
    while (words[0] == "skipif" || words[0] == "onlyif") {
      result.skipped |= is_meant(words) == (words[0] == "skipif");
      if (at_end() || lines_[at_].blank())
        fail(words[0] + " is followed by nothing");
      words = take_words();
    }
    result.line = lines_[at_ - 1].number;
    if (words[0] == "statement")
      parse_statement(words, result);
    else if (words[0] == "query")
      parse_query(words, result);
    else if (words[0] == "hash-threshold")
      parse_threshold(words, result);
    else if (words[0] == "halt")
      result.type = script_record::kind::halt;
    else
      fail("unknown record: " + words[0]);
    return result;
  }

  bool is_meant(const std::vector<std::string>& words) const {
    if (words.size() < 2)
      fail(words[0] + " needs the name of an engine");
    auto name = words[1];
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return std::find(engines_.begin(), engines_.end(), name) != engines_.end();
  }

  void parse_statement(const std::vector<std::string>& words, script_record& to) {
    if (words.size() < 2 || (words[1] != "ok" && words[1] != "error"))
      fail("a statement is 'ok' or 'error'");
    to.type = words[1] == "ok" ? script_record::kind::statement_ok : script_record::kind::statement_error;
    to.sql = take_sql();
  }

  void parse_query(const std::vector<std::string>& words, script_record& to) {
    to.type = script_record::kind::query;
    if (words.size() < 2 || words[1].find_first_not_of("ITR") != std::string::npos)
      fail("a query needs the types of its columns, letters of I, T and R");
    to.types = words[1];
    if (words.size() > 2)
      to.sort = order_of(words[2]);
    if (words.size() > 3)
      to.label = words[3];
    to.sql = take_sql();
    to.expected_line = at_end() ? to.line : lines_[at_].number;
    if (at_end() || lines_[at_].text != "----")
      return;
    to.expected_line = lines_[at_++].number + 1;
    for (; !at_end() && !lines_[at_].blank(); ++at_)
      to.expected.push_back(lines_[at_].text);
  }

  script_record::order order_of(const std::string& word) const {
    if (word == "nosort")
      return script_record::order::as_is;
    if (word == "rowsort")
      return script_record::order::by_row;
    if (word == "valuesort")
      return script_record::order::by_value;
    fail("unknown order: " + word + "; nosort, rowsort and valuesort are known");
  }

  void parse_threshold(const std::vector<std::string>& words, script_record& to) {
    to.type = script_record::kind::hash_threshold;
    if (words.size() < 2)
      fail("hash-threshold needs a number");
    const auto& word = words[1];
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), to.threshold);
    if (error != std::errc{} || end != word.data() + word.size())
      fail("hash-threshold needs a number, not " + word);
  }

  std::vector<std::string> take_words() {
    std::istringstream in{lines_[at_++].text};
    std::vector<std::string> result;
    for (std::string word; in >> word;)
      result.push_back(word);
    return result;
  }

  // Reads up to a blank line, or to the line that ends a query.
  std::string take_sql() {
    std::string result;
    for (; !at_end() && !lines_[at_].blank() && lines_[at_].text != "----"; ++at_)
      result += (result.empty() ? "" : "\n") + lines_[at_].text;
    if (result.empty())
      fail("there is no SQL");
    return result;
  }

  // The number of the line that was read last.
  [[noreturn]] void fail(const std::string& reason) const {
    throw script_error{name_ + ":" + std::to_string(lines_[at_ - 1].number) + ": " + reason};
  }

  std::string name_;
  const std::vector<std::string>& engines_;
  std::vector<script_line> lines_;
  size_t at_ = 0;
};

} // namespace

std::vector<script_record> parse_script(const std::string& name, const std::string& text,
                                        const std::vector<std::string>& engines) {
  return parser{name, text, engines}.all();
}

} // namespace sluice::test
