#include "runtime/server/rpc/typed_answer.hpp"

#include "runtime/server/rpc/tape.hpp"

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sluice::rpc {

namespace {

namespace dom = simdjson::dom;

constexpr auto any_number = std::numeric_limits<uint64_t>::max();

bool take_flag(const dom::element& from, bool& to) { return from.get(to) == simdjson::SUCCESS; }

bool take_integer(const dom::element& from, int64_t& to) { return from.get(to) == simdjson::SUCCESS; }

// Reads columns and rows, in this order.
class rows_reader {
public:
  explicit rows_reader(const tape& from) noexcept : tape_(from) {}

  bool take_columns(const dom::element& from) {
    dom::array names;
    if (from.get(names) != simdjson::SUCCESS)
      return false;
    auto columns = std::make_shared<rowset::column_names>();
    for (auto name : names)
      if (!tape_.take(name, columns->emplace_back()))
        return false;
    width_ = columns->size();
    rows_ = rowset{std::move(columns)};
    return true;
  }

  bool take_rows(const dom::element& from) {
    dom::array list;
    if (from.get(list) != simdjson::SUCCESS || (width_ == 0 && list.begin() != list.end()))
      return false;
    for (auto row : list)
      if (!take_row(row))
        return false;
    return true;
  }

  rowset finish() { return std::move(rows_); }

private:
  bool take_row(const dom::element& from) {
    dom::array cells;
    if (from.get(cells) != simdjson::SUCCESS || cells.size() != width_)
      return false;
    for (auto cell : cells) {
      value content;
      if (!tape_.take(cell, content))
        return false;
      rows_.append(std::move(content));
    }
    return true;
  }

  const tape& tape_;
  size_t width_ = 0;
  rowset rows_;
};

bool take_part(const tape& from, const dom::element& source, statement_result& to) {
  dom::object members;
  if (source.get(members) != simdjson::SUCCESS)
    return false;
  enum : unsigned { changes, columns, last_insert_rowid, rows, all };
  seen_members seen;
  rows_reader reader{from};
  for (auto [name, content] : members) {
    auto known = name == "changes"   ? seen.add(changes) && take_integer(content, to.changes)
                 : name == "columns" ? seen.add(columns) && reader.take_columns(content)
                 : name == "last_insert_rowid"
                   ? seen.add(last_insert_rowid) && take_integer(content, to.last_insert_rowid)
                 : name == "rows" ? seen.has(columns) && seen.add(rows) && reader.take_rows(content)
                                  : false;
    if (!known)
      return false;
  }
  to.rows = reader.finish();
  return seen.count() == all;
}

bool take_result(const tape& from, const dom::object& members, write_result& to) {
  enum : unsigned { commit_seq, outcome, replayed, request_id, results, all };
  seen_members seen;
  for (auto [name, content] : members) {
    std::string_view text;
    auto known = name == "commit_seq" ? seen.add(commit_seq) && tape::take_number(content, to.commit_seq, 0, any_number)
                 : name == "outcome"
                   ? seen.add(outcome) && content.get(text) == simdjson::SUCCESS && text == "committed"
                 : name == "replayed"   ? seen.add(replayed) && take_flag(content, to.replayed)
                 : name == "request_id" ? seen.add(request_id) && from.take(content, to.request_id)
                 : name == "results"    ? seen.add(results)
                                        : false;
    if (!known)
      return false;
    if (name != "results")
      continue;
    dom::array list;
    if (content.get(list) != simdjson::SUCCESS)
      return false;
    for (auto each : list)
      if (!take_part(from, each, to.results.emplace_back()))
        return false;
  }
  return seen.count() == all;
}

bool take_source(const dom::element& from, read_source& to) {
  std::string_view text;
  if (from.get(text) != simdjson::SUCCESS)
    return false;
  for (auto known : {read_source::database, read_source::cache, read_source::joined})
    if (text == to_string(known)) {
      to = known;
      return true;
    }
  return false;
}

bool take_result(const tape& from, const dom::object& members, read_result& to) {
  enum : unsigned { as_of_seq, columns, rows, source, truncated, all };
  seen_members seen;
  rows_reader reader{from};
  for (auto [name, content] : members) {
    auto known = name == "as_of_seq"   ? seen.add(as_of_seq) && tape::take_number(content, to.as_of_seq, 0, any_number)
                 : name == "columns"   ? seen.add(columns) && reader.take_columns(content)
                 : name == "rows"      ? seen.has(columns) && seen.add(rows) && reader.take_rows(content)
                 : name == "source"    ? seen.add(source) && take_source(content, to.source)
                 : name == "truncated" ? seen.add(truncated) && take_flag(content, to.truncated)
                                       : false;
    if (!known)
      return false;
  }
  to.rows = std::make_shared<const rowset>(reader.finish());
  return seen.count() == all;
}

template <class Result> bool read_line(tape& buffers, std::string_view line, Result& to) {
  dom::element root;
  dom::object result;
  dom::object members;
  if (!buffers.parse(line, root) || root.get(members) != simdjson::SUCCESS)
    return false;
  enum : unsigned { id, version, content_of_result, all };
  seen_members seen;
  for (auto [name, content] : members) {
    std::string_view text;
    auto known = name == "id"        ? seen.add(id)
                 : name == "jsonrpc" ? seen.add(version) && content.get(text) == simdjson::SUCCESS && text == "2.0"
                 : name == "result"  ? seen.add(content_of_result) && content.get(result) == simdjson::SUCCESS
                                     : false;
    if (!known)
      return false;
  }
  return seen.count() == all && take_result(buffers, result, to);
}

} // namespace

answer_reader::answer_reader() = default;

answer_reader::~answer_reader() = default;

template <class Result> bool answer_reader::read_with_tape(std::string_view line, Result& to) {
  std::unique_ptr<tape> buffer;
  {
    std::lock_guard held{mutex_};
    if (!spare_.empty()) {
      buffer = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  if (!buffer)
    buffer = std::make_unique<tape>();
  auto is_read = read_line(*buffer, line, to);
  std::lock_guard held{mutex_};
  spare_.push_back(std::move(buffer));
  return is_read;
}

bool answer_reader::read(std::string_view line, write_result& to) { return read_with_tape(line, to); }

bool answer_reader::read(std::string_view line, read_result& to) { return read_with_tape(line, to); }

} // namespace sluice::rpc
