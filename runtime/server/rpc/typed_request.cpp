#include "runtime/server/rpc/typed_request.hpp"

#include "runtime/server/rpc/json_fields.hpp"
#include "runtime/server/rpc/tape.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <utility>

namespace sluice::rpc {

namespace {

namespace dom = simdjson::dom;
using std::chrono::milliseconds;

// Reads the parts of a request. Returns false for anything that is not certain.
class part_reader {
public:
  explicit part_reader(const tape& from) noexcept : tape_(from) {}

  bool take(const dom::element& from, std::string& to) const { return tape_.take(from, to); }

  bool take(const dom::element& from, sql_text& to) const {
    std::string text;
    if (!take(from, text))
      return false;
    to = sql_text{std::move(text)};
    return true;
  }

  static bool take_time(const dom::element& from, milliseconds& to) {
    int64_t ms = 0;
    if (!tape::take_number(from, ms, 1, day_ms))
      return false;
    to = milliseconds{ms};
    return true;
  }

  bool take(const dom::element& from, parameters& to) const {
    if (dom::array list; from.get(list) == simdjson::SUCCESS) {
      for (auto content : list)
        if (!tape_.take(content, to.positional.emplace_back()))
          return false;
      return true;
    }
    dom::object named;
    if (from.get(named) != simdjson::SUCCESS)
      return false;
    for (auto [name, content] : named) {
      if (name.empty() || std::string_view{":@$"}.find(name[0]) != std::string_view::npos || !tape_.is_text(name))
        return false;
      auto& next = to.named.emplace_back();
      next.name = name;
      if (!tape_.take(content, next.content))
        return false;
    }
    auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
    std::sort(to.named.begin(), to.named.end(), by_name);
    auto same_name = [](const auto& a, const auto& b) { return a.name == b.name; };
    return std::adjacent_find(to.named.begin(), to.named.end(), same_name) == to.named.end();
  }

  static bool take(const dom::element& from, std::optional<uint64_t>& expected_changes) {
    dom::object members;
    if (from.get(members) != simdjson::SUCCESS || members.size() != 1)
      return false;
    auto [name, content] = *members.begin();
    return name == "changes" && tape::take_number(content, expected_changes.emplace(), 0, uint64_t{1} << 53);
  }

  bool take(const dom::element& from, statement& to) const {
    dom::object members;
    if (from.get(members) != simdjson::SUCCESS)
      return false;
    enum : unsigned { sql, params, expect };
    seen_members seen;
    for (auto [name, content] : members) {
      auto known = name == "sql"      ? seen.add(sql) && take(content, to.sql)
                   : name == "params" ? seen.add(params) && take(content, to.params)
                   : name == "expect" ? seen.add(expect) && take(content, to.expected_changes)
                                      : false;
      if (!known)
        return false;
    }
    return seen.has(sql);
  }

  bool take(const dom::element& from, std::vector<statement>& to) const {
    dom::array list;
    if (from.get(list) != simdjson::SUCCESS)
      return false;
    for (auto each : list)
      if (!take(each, to.emplace_back()))
        return false;
    return !to.empty();
  }

private:
  const tape& tape_;
};

enum request_member : unsigned {
  db,
  agent,
  request_id,
  correlation_id,
  sql,
  params,
  expect,
  integers,
  time_limit,
  statements,
  idempotency_key,
  foreign_keys,
  freshness_member,
  min_seq,
  max_rows,
  max_bytes,
};

bool take_integers(const dom::element& from, integer_form& to) {
  std::string_view text;
  if (from.get(text) != simdjson::SUCCESS)
    return false;
  to = text == "text" ? integer_form::text : text == "tagged" ? integer_form::tagged : integer_form::number;
  return to != integer_form::number || text == "number";
}

// Reads a text that must be one of two.
bool take_choice(const dom::element& from, std::string_view first, std::string_view second, bool& is_first) {
  std::string_view text;
  if (from.get(text) != simdjson::SUCCESS)
    return false;
  is_first = text == first;
  return is_first || text == second;
}

template <class Request>
bool take_common(const part_reader& read, std::string_view name, const dom::element& content, Request& to,
                 seen_members& seen) {
  if (name == "db")
    return seen.add(db) && read.take(content, to.db);
  if (name == "agent")
    return seen.add(agent) && read.take(content, to.agent);
  if (name == "request_id")
    return seen.add(request_id) && read.take(content, to.request_id);
  if (name == "correlation_id")
    return seen.add(correlation_id) && read.take(content, to.correlation_id);
  return name == "integers" && seen.add(integers) && take_integers(content, to.integers);
}

bool take_one(const part_reader& read, std::string_view name, const dom::element& content, write_request& to,
              seen_members& seen) {
  auto single = [&]() -> statement& {
    if (to.statements.empty())
      to.statements.emplace_back();
    return to.statements.front();
  };
  if (name == "statements")
    return !seen.has(sql) && !seen.has(params) && !seen.has(expect) && seen.add(statements)
           && read.take(content, to.statements);
  if (name == "sql")
    return !seen.has(statements) && seen.add(sql) && read.take(content, single().sql);
  if (name == "params")
    return !seen.has(statements) && seen.add(params) && read.take(content, single().params);
  if (name == "expect")
    return !seen.has(statements) && seen.add(expect) && part_reader::take(content, single().expected_changes);
  if (name == "idempotency_key")
    return seen.add(idempotency_key) && read.take(content, to.idempotency_key) && !to.idempotency_key.empty();
  if (name == "deadline_ms")
    return seen.add(time_limit) && part_reader::take_time(content, to.deadline);
  if (name == "foreign_keys")
    return seen.add(foreign_keys) && take_choice(content, "on", "off", to.enforce_foreign_keys);
  return take_common(read, name, content, to, seen);
}

bool take_one(const part_reader& read, std::string_view name, const dom::element& content, read_request& to,
              seen_members& seen) {
  if (name == "sql")
    return seen.add(sql) && read.take(content, to.query.sql);
  if (name == "params")
    return seen.add(params) && read.take(content, to.query.params);
  if (name == "freshness") {
    auto is_fresh = false;
    if (!seen.add(freshness_member) || !take_choice(content, "fresh", "cached", is_fresh))
      return false;
    to.freshness = is_fresh ? freshness::fresh : freshness::cached;
    return true;
  }
  if (name == "min_seq")
    return seen.add(min_seq) && tape::take_number(content, to.min_seq, 0, std::numeric_limits<uint64_t>::max());
  if (name == "max_rows")
    return seen.add(max_rows) && tape::take_number(content, to.limits.max_rows, 1, 100'000'000);
  if (name == "max_bytes")
    return seen.add(max_bytes) && tape::take_number(content, to.limits.max_bytes, uint64_t{1} << 10, uint64_t{2} << 30);
  if (name == "timeout_ms")
    return seen.add(time_limit) && part_reader::take_time(content, to.limits.timeout);
  return take_common(read, name, content, to, seen);
}

bool is_whole(const write_request&, const seen_members& seen) { return seen.has(sql) || seen.has(statements); }
bool is_whole(const read_request&, const seen_members& seen) { return seen.has(sql); }

template <class Request> bool take_params(const part_reader& read, const dom::object& from, Request& to) {
  seen_members seen;
  for (auto [name, content] : from)
    if (!take_one(read, name, content, to, seen))
      return false;
  return seen.has(db) && is_whole(to, seen);
}

// The members of a call.
struct call_parts {
  uint64_t id = 0;
  std::string_view method;
  dom::object params;
};

std::optional<call_parts> take_apart(const dom::element& document) {
  dom::object members;
  if (document.get(members) != simdjson::SUCCESS)
    return std::nullopt;
  call_parts result;
  enum : unsigned { version, id, method, parameters };
  seen_members seen;
  for (auto [name, content] : members) {
    std::string_view text;
    auto known = name == "jsonrpc"  ? seen.add(version) && content.get(text) == simdjson::SUCCESS && text == "2.0"
                 : name == "id"     ? seen.add(id) && content.get(result.id) == simdjson::SUCCESS
                 : name == "method" ? seen.add(method) && content.get(result.method) == simdjson::SUCCESS
                 : name == "params" ? seen.add(parameters) && content.get(result.params) == simdjson::SUCCESS
                                    : false;
    if (!known)
      return std::nullopt;
  }
  auto is_whole = seen.has(version) && seen.has(id) && seen.has(method) && seen.has(parameters);
  return is_whole ? std::optional{result} : std::nullopt;
}

} // namespace

class typed_reader::buffers {
public:
  std::optional<typed_request> read(std::string_view document) {
    dom::element root;
    auto parts = tape_.parse(document, root) ? take_apart(root) : std::nullopt;
    if (!parts)
      return std::nullopt;
    part_reader part{tape_};
    typed_request result{parts->id, {}};
    auto is_read = parts->method == "write"  ? take_params(part, parts->params, result.content.emplace<write_request>())
                   : parts->method == "read" ? take_params(part, parts->params, result.content.emplace<read_request>())
                                             : false;
    return is_read ? std::optional{std::move(result)} : std::nullopt;
  }

private:
  tape tape_;
};

typed_reader::typed_reader() : buffers_(std::make_unique<buffers>()) {}

typed_reader::~typed_reader() = default;

std::optional<typed_request> typed_reader::read(std::string_view document) { return buffers_->read(document); }

} // namespace sluice::rpc
