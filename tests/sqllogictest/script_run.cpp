#include "tests/sqllogictest/script_run.hpp"

#include <boost/uuid/detail/md5.hpp>
#include <sqlite3.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace sluice::test {

namespace {

using md5 = boost::uuids::detail::md5;

std::string in_hex(md5& state) {
  md5::digest_type words;
  state.get_digest(words);
  std::string result;
  for (auto word : words)
    for (int shift = 28; shift >= 0; shift -= 4)
      result += "0123456789abcdef"[word >> shift & 15];
  return result;
}

// The MD5 of all values, each with a newline, as the format defines it.
std::string hash_of(const std::vector<std::string>& values) {
  md5 state;
  for (const auto& value : values) {
    state.process_bytes(value.data(), value.size());
    state.process_byte('\n');
  }
  return in_hex(state);
}

// Formats a number as SQLite does, because SQLite generated the expected results.
std::string formatted(const char* format, double number) {
  std::unique_ptr<char, decltype(&sqlite3_free)> text{sqlite3_mprintf(format, number), sqlite3_free};
  return text ? text.get() : "";
}

// The results of SQLite's column functions for another type than the value's.
int64_t as_integer(const value& cell) {
  if (auto* integer = cell.integer())
    return *integer;
  if (auto* real = cell.real()) {
    constexpr auto bound = 9223372036854775808.0;
    return *real >= bound ? INT64_MAX : *real < -bound ? INT64_MIN : static_cast<int64_t>(*real);
  }
  auto* bytes = cell.text() ? cell.text() : cell.blob_bytes();
  return bytes ? std::strtoll(bytes->c_str(), nullptr, 10) : 0;
}

double as_real(const value& cell) {
  if (auto* real = cell.real())
    return *real;
  if (auto* integer = cell.integer())
    return static_cast<double>(*integer);
  auto* bytes = cell.text() ? cell.text() : cell.blob_bytes();
  return bytes ? std::strtod(bytes->c_str(), nullptr) : 0;
}

std::string as_text(const value& cell) {
  std::string result;
  if (auto* integer = cell.integer())
    result = std::to_string(*integer);
  else if (auto* real = cell.real())
    result = formatted("%!.15g", *real);
  else
    result = cell.text() ? *cell.text() : *cell.blob_bytes();
  // The original implementation uses a C string, which ends at a NUL.
  result.resize(std::strlen(result.c_str()));
  for (auto& c : result)
    if (c < ' ' || c > '~')
      c = '@';
  return result.empty() ? "(empty)" : result;
}

std::string rendered(const value& cell, char type) {
  if (cell.is_null())
    return "NULL";
  switch (type) {
  case 'I': return std::to_string(as_integer(cell));
  case 'R': return formatted("%.3f", as_real(cell));
  default: return as_text(cell);
  }
}

std::vector<std::string> rendered(const rowset& rows, const script_record& record) {
  std::vector<std::vector<std::string>> lines;
  for (size_t i = 0; i < rows.size(); ++i) {
    auto& line = lines.emplace_back();
    for (size_t j = 0; j < record.types.size(); ++j)
      line.push_back(rendered(rows.at(i, j), record.types[j]));
  }
  if (record.sort == script_record::order::by_row)
    std::sort(lines.begin(), lines.end());
  std::vector<std::string> result;
  for (auto& line : lines)
    std::move(line.begin(), line.end(), std::back_inserter(result));
  if (record.sort == script_record::order::by_value)
    std::sort(result.begin(), result.end());
  return result;
}

bool same_rows(const rowset& a, const rowset& b) {
  if (a.columns() != b.columns() || a.size() != b.size())
    return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (!std::equal(a.row(i).begin(), a.row(i).end(), b.row(i).begin()))
      return false;
  return true;
}

bool holds_hash(const script_record& record) {
  return record.expected.size() == 1 && record.expected.front().find(" values hashing to ") != std::string::npos;
}

std::string in_words(const caf::error& error) {
  auto result = describe(error);
  return std::string{to_string(result.code)} + ": " + result.message;
}

} // namespace

void script_run::run(const std::vector<script_record>& records) {
  for (const auto& record : records) {
    if (record.skipped) {
      ++counts_.skipped;
      continue;
    }
    switch (record.type) {
    case script_record::kind::statement_ok:
    case script_record::kind::statement_error: statement(record); break;
    case script_record::kind::query: query(record); break;
    case script_record::kind::hash_threshold: threshold_ = record.threshold; break;
    case script_record::kind::halt: return;
    }
  }
}

void script_run::statement(const script_record& record) {
  ++counts_.statements;
  auto done = db_.write("sqllogictest", record.sql);
  if (done && record.type == script_record::kind::statement_error)
    fail(record.line, "an error was expected, and there was none");
  if (!done && record.type == script_record::kind::statement_ok)
    fail(record.line, in_words(done.error()));
}

caf::expected<read_result> script_run::ask(const script_record& record) const {
  read_request request;
  request.agent = "sqllogictest";
  request.query.sql = record.sql;
  request.limits = {100'000'000, uint64_t{1} << 30, std::chrono::minutes{10}};
  return db_.read(std::move(request));
}

void script_run::query(const script_record& record) {
  ++counts_.queries;
  auto first = ask(record);
  if (!first)
    return fail(record.line, in_words(first.error()));
  auto second = ask(record);
  if (!second)
    return fail(record.line, "asked again: " + in_words(second.error()));
  counts_.hits += second->source == read_source::cache;
  if (first->truncated || second->truncated)
    return fail(record.line, "the result is too large");
  if (!same_rows(*first->rows, *second->rows))
    return fail(record.line, "asked again, the answer was another (" + std::string{to_string(second->source)} + ")");
  auto columns = first->rows->columns().size();
  if (columns != record.types.size())
    return fail(record.line, std::to_string(record.types.size()) + " columns were expected, and there are "
                               + std::to_string(columns));
  compare(record, rendered(*second->rows, record));
}

void script_run::compare(const script_record& record, const std::vector<std::string>& values) {
  // Many files have hashes without a hash-threshold.
  auto by_hash = (threshold_ > 0 && values.size() > threshold_) || holds_hash(record);
  if (!by_hash && record.label.empty())
    return compare_values(record, values);
  auto hash = hash_of(values);
  if (!record.label.empty())
    compare_label(record, hash);
  if (!by_hash)
    return compare_values(record, values);
  auto got = std::to_string(values.size()) + " values hashing to " + hash;
  auto expected = record.expected.empty() ? "nothing" : record.expected.front();
  if (record.expected.size() != 1 || expected != got)
    fail(record.expected_line, "expected " + expected + ", got " + got);
}

void script_run::compare_values(const script_record& record, const std::vector<std::string>& values) {
  auto [expected, got] = std::mismatch(record.expected.begin(), record.expected.end(), values.begin(), values.end());
  auto line = record.expected_line + static_cast<size_t>(expected - record.expected.begin());
  if (expected != record.expected.end() && got != values.end())
    return fail(line, "expected " + *expected + ", got " + *got);
  if (values.size() != record.expected.size())
    fail(line, "expected " + std::to_string(record.expected.size()) + " values, got " + std::to_string(values.size()));
}

void script_run::compare_label(const script_record& record, const std::string& hash) {
  auto [known, is_new] = labels_.emplace(record.label, hash);
  if (!is_new && known->second != hash)
    fail(record.line, "the result is not that of the queries before with the label " + record.label);
}

void script_run::fail(size_t line, const std::string& error) {
  ++counts_.failed;
  complain_(file_ + ":" + std::to_string(line) + ": " + error);
}

} // namespace sluice::test
