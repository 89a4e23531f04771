#include "runtime/json/json.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/server/rpc/params_text.hpp"
#include "runtime/server/rpc/strict_json.hpp"
#include "runtime/server/rpc/typed_answer.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

namespace sluice::test::codec_property_test {

using nlohmann::json;
using std::chrono::milliseconds;

namespace {

// Sends a document as text and parses it, as between client and broker.
json over_the_wire(const json& document) {
  auto text = dump(document);
  auto back = rpc::parse_strictly(text);
  INFO(text);
  REQUIRE(back);
  return *back;
}

std::string answer_line(const std::string& result) { return R"({"id":7,"jsonrpc":"2.0","result":)" + result + "}"; }

// Arbitrary requests and answers, the same in every run.
class generator {
public:
  explicit generator(uint32_t seed) : random_(seed) {}

  uint64_t below(uint64_t n) { return std::uniform_int_distribution<uint64_t>{0, n - 1}(random_); }
  bool coin() { return below(2) == 0; }

  int64_t integer() {
    constexpr int64_t edges[]{0, 1, -1, INT64_MAX, INT64_MIN, 1LL << 53, (1LL << 53) + 1, INT32_MIN};
    return coin() ? edges[below(std::size(edges))] : static_cast<int64_t>(random_());
  }

  uint64_t number() { return coin() ? UINT64_MAX - below(3) : below(1'000); }

  double real() {
    constexpr double edges[]{0.0, -0.0, 5.0, 0.1, 1e300, 5e-324, INFINITY, -INFINITY, 9007199254740993.0, 1e19};
    if (coin())
      return edges[below(std::size(edges))];
    auto result = std::bit_cast<double>(random_());
    return std::isnan(result) ? 1.5 : result;
  }

  std::string text() {
    static const std::vector<std::string> parts{
      "",       "a",      "\"",         "\\",     "\n",   std::string(1, '\0'),
      "\u00e9", "\u20ac", "\U0001f600", "\u2028", "\x7f", "{\"$blob\":\"AA==\"}",
      "'; --",  "/"};
    std::string result;
    for (auto n = below(6); n > 0; --n)
      result += parts[below(parts.size())];
    return result;
  }

  std::string bytes() {
    std::string result(below(20), '\0');
    for (auto& c : result)
      c = static_cast<char>(random_());
    return result;
  }

  value cell() {
    switch (below(6)) {
    case 0: return {};
    case 1: return integer();
    case 2: return real();
    case 3: return text();
    // Text that is not UTF-8, mostly.
    case 4: return bytes();
    default: return blob{bytes()};
    }
  }

  parameters params() {
    parameters result;
    if (coin())
      for (auto n = below(4); n > 0; --n)
        result.positional.push_back(cell());
    else
      for (auto n = below(4); n > 0; --n)
        result.named.push_back({std::string{"abc"[n]} + text() + std::to_string(n), cell()});
    return result;
  }

  write_request write() {
    write_request result;
    result.db = text();
    for (auto n = 1 + below(3); n > 0; --n)
      result.statements.push_back({text(), params(), below(3) == 0 ? std::optional<uint64_t>{below(3)} : std::nullopt});
    result.agent = text();
    result.request_id = text();
    result.idempotency_key = text();
    result.correlation_id = text();
    result.deadline = milliseconds{below(86'400'001)};
    result.enforce_foreign_keys = below(2) == 0;
    return result;
  }

  read_request read() {
    read_request result;
    result.db = text();
    result.query = {text(), params()};
    for (auto n = below(6); n > 3; --n)
      result.more.push_back({text(), params()});
    result.agent = text();
    result.request_id = text();
    result.correlation_id = text();
    result.freshness = coin() ? freshness::cached : freshness::fresh;
    result.min_seq = number();
    result.limits = {below(100'000'001), coin() ? 0 : 1024 + below(1'000'000), milliseconds{below(86'400'001)}};
    return result;
  }

  rowset rows() {
    rowset::column_names columns(below(4));
    for (auto& name : columns)
      name = text();
    auto cells = columns.size() * below(4);
    rowset result{std::make_shared<const rowset::column_names>(std::move(columns))};
    for (; cells > 0; --cells)
      result.append(cell());
    return result;
  }

  write_result written() {
    write_result result{coin(), number(), text(), {}};
    for (auto n = below(3); n > 0; --n)
      result.results.push_back({integer(), integer(), rows()});
    return result;
  }

  read_result answer() {
    return {std::make_shared<const rowset>(rows()), coin(), static_cast<read_source>(below(3)), number()};
  }

  audit_record record() {
    audit_record result;
    result.seq = number();
    result.ts_us = integer();
    result.request_id = text();
    result.agent = text();
    result.db = text();
    result.type = static_cast<request_type>(below(5));
    result.key = text();
    result.status = text();
    result.latency_us = below(1ULL << 45);
    result.commit_seq = number();
    if (coin())
      result.tables = std::make_shared<const std::vector<std::string>>(std::vector<std::string>{text(), text()});
    result.correlation_id = text();
    if (coin())
      result.peer = {static_cast<uint32_t>(random_()), 1 + static_cast<uint32_t>(below(1'000'000))};
    result.count = static_cast<uint32_t>(random_());
    result.recovered = coin();
    return result;
  }

private:
  std::mt19937_64 random_;
};

bool same(const value& a, const value& b) {
  // Zeros of both signs compare equal, but must be distinguished.
  return a == b && (!a.real() || std::signbit(*a.real()) == std::signbit(*b.real()));
}

// A JSON object has its members in no order.
parameters sorted(parameters parameters) {
  std::sort(parameters.named.begin(), parameters.named.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return parameters;
}

bool same(const parameters& a, const parameters& b) {
  auto values = [](const auto& x, const auto& y) { return same(x, y); };
  auto names = [](const auto& x, const auto& y) { return x.name == y.name && same(x.content, y.content); };
  auto p = sorted(a);
  auto q = sorted(b);
  return std::equal(p.positional.begin(), p.positional.end(), q.positional.begin(), q.positional.end(), values)
         && std::equal(p.named.begin(), p.named.end(), q.named.begin(), q.named.end(), names);
}

bool same(const statement& a, const statement& b) {
  return a.sql == b.sql && same(a.params, b.params) && a.expected_changes == b.expected_changes;
}

bool same(const rowset& a, const rowset& b) {
  auto rows_are_same = a.columns() == b.columns() && a.size() == b.size() && a.footprint() == b.footprint();
  for (size_t i = 0; rows_are_same && i < a.size(); ++i)
    for (size_t j = 0; j < a.columns().size(); ++j)
      rows_are_same = rows_are_same && same(a.at(i, j), b.at(i, j));
  return rows_are_same;
}

} // namespace

TEST_CASE("any write is unchanged after a round trip through JSON") {
  generator make{1};
  for (int i = 0; i < 2'000; ++i) {
    auto sent = make.write();
    auto received = rpc::write_from_json(over_the_wire(rpc::params_of(sent)));
    INFO(dump(rpc::params_of(sent)));
    REQUIRE(received);
    REQUIRE(sent.statements.size() == received->statements.size());
    for (size_t n = 0; n < sent.statements.size(); ++n)
      REQUIRE(same(sent.statements[n], received->statements[n]));
    REQUIRE(std::tie(sent.db, sent.agent, sent.request_id, sent.idempotency_key, sent.correlation_id, sent.deadline,
                     sent.enforce_foreign_keys)
            == std::tie(received->db, received->agent, received->request_id, received->idempotency_key,
                        received->correlation_id, received->deadline, received->enforce_foreign_keys));
  }
}

TEST_CASE("any read is unchanged after a round trip through JSON") {
  generator make{2};
  for (int i = 0; i < 2'000; ++i) {
    auto sent = make.read();
    auto received = rpc::read_from_json(over_the_wire(rpc::params_of(sent)));
    INFO(dump(rpc::params_of(sent)));
    REQUIRE(received);
    REQUIRE(same(sent.query, received->query));
    REQUIRE(std::tie(sent.db, sent.agent, sent.request_id, sent.correlation_id, sent.freshness, sent.min_seq)
            == std::tie(received->db, received->agent, received->request_id, received->correlation_id,
                        received->freshness, received->min_seq));
    REQUIRE(sent.limits == received->limits);
    REQUIRE(sent.more.size() == received->more.size());
    for (size_t n = 0; n < sent.more.size(); ++n)
      REQUIRE(same(sent.more[n], received->more[n]));
  }
}

TEST_CASE("any answer is unchanged after a round trip through JSON") {
  generator make{3};
  for (int i = 0; i < 2'000; ++i) {
    auto w = make.written();
    INFO(dump(as_json(w)));
    auto v = rpc::write_result_from_json(over_the_wire(as_json(w)));
    REQUIRE(v);
    REQUIRE(std::tie(w.replayed, w.commit_seq, w.request_id) == std::tie(v->replayed, v->commit_seq, v->request_id));
    REQUIRE(w.results.size() == v->results.size());
    for (size_t n = 0; n < w.results.size(); ++n) {
      REQUIRE(w.results[n].changes == v->results[n].changes);
      REQUIRE(w.results[n].last_insert_rowid == v->results[n].last_insert_rowid);
      REQUIRE(same(w.results[n].rows, v->results[n].rows));
    }
    auto r = make.answer();
    INFO(dump(as_json(r)));
    auto s = rpc::read_result_from_json(over_the_wire(as_json(r)));
    REQUIRE(s);
    REQUIRE(same(*r.rows, *s->rows));
    REQUIRE(std::tie(r.truncated, r.source, r.as_of_seq) == std::tie(s->truncated, s->source, s->as_of_seq));
  }
}

TEST_CASE("parameters that are written without a DOM equal those written from a DOM") {
  generator make{5};
  auto count = 0;
  auto compare = [&](const auto& request) {
    auto text = rpc::text_of_params(request);
    count += text ? 1 : 0;
    if (text)
      REQUIRE(*text == dump(rpc::params_of(request)));
  };
  for (int i = 0; i < 2'000; ++i) {
    compare(make.write());
    compare(make.read());
  }
  CHECK(count > 500);
}

TEST_CASE("parameters with names, or text that cannot be sent, need a DOM") {
  read_request request;
  request.query = {"S", {}};
  request.query.params.named.push_back({"a", 1});
  CHECK_FALSE(rpc::text_of_params(request));
  request.query = {"S", {1}};
  CHECK(rpc::text_of_params(request));
  request.agent = "\xff";
  CHECK_FALSE(rpc::text_of_params(request));
  request.agent = "";
  request.query.sql = sql_text{"\xff"};
  CHECK_FALSE(rpc::text_of_params(request));
}

TEST_CASE("an answer that is read without a DOM equals the answer read from a DOM") {
  rpc::answer_reader reader;
  generator make{6};
  auto writes = 0;
  auto reads = 0;
  for (int i = 0; i < 3'000; ++i) {
    auto written = render(make.written(), integer_form::number);
    INFO(written);
    if (write_result typed; reader.read(answer_line(written), typed)) {
      ++writes;
      auto dom = rpc::write_result_from_json(json::parse(written));
      REQUIRE(dom);
      REQUIRE(render(typed, integer_form::number) == render(*dom, integer_form::number));
    }
    auto answer = render(make.answer(), integer_form::number);
    INFO(answer);
    if (read_result typed; reader.read(answer_line(answer), typed)) {
      ++reads;
      auto dom = rpc::read_result_from_json(json::parse(answer));
      REQUIRE(dom);
      REQUIRE(render(typed, integer_form::number) == render(*dom, integer_form::number));
    }
  }
  CHECK(writes > 300);
  CHECK(reads > 300);
}

TEST_CASE("any other line is read from a DOM") {
  rpc::answer_reader reader;
  auto good = std::string{R"({"as_of_seq":1,"columns":["a"],"rows":[[1]],"source":"cache","truncated":false})"};
  write_result written;
  read_result read;
  REQUIRE(reader.read(answer_line(good), read));
  CHECK_FALSE(reader.read(answer_line(good), written));
  for (
    const auto* line : {
      "",
      "x",
      "[]",
      R"({"id":7,"jsonrpc":"2.0"})",
      R"({"error":{"code":1,"message":"m"},"id":7,"jsonrpc":"2.0"})",
      R"({"id":7,"jsonrpc":"2.0","result":{}})",
      R"({"id":7,"jsonrpc":"2.0","result":{"as_of_seq":1,"columns":["a"],"rows":[[1,2]],"source":"cache","truncated":false}})",
      R"({"id":7,"jsonrpc":"2.0","result":{"as_of_seq":1,"columns":[],"rows":[[]],"source":"cache","truncated":false}})",
      R"({"id":7,"jsonrpc":"2.0","result":{"as_of_seq":1,"columns":["a"],"rows":[[{"$blob":""}]],"source":"cache","truncated":false}})",
      R"({"id":7,"jsonrpc":"2.0","result":{"as_of_seq":1,"columns":["a"],"rows":[[1]],"source":"other","truncated":false}})",
      R"({"id":7,"jsonrpc":"2.0","result":{"as_of_seq":1,"columns":["a"],"rows":[[1]],"source":"cache","truncated":false,"more":1}})",
      R"({"id":7,"jsonrpc":"2.0","result":{"as_of_seq":1,"as_of_seq":1,"columns":["a"],"rows":[[1]],"source":"cache","truncated":false}})",
    }) {
    CAPTURE(line);
    CHECK_FALSE(reader.read(line, read));
    CHECK_FALSE(reader.read(line, written));
  }
}

TEST_CASE("any page of the audit is unchanged after a round trip through JSON") {
  generator make{4};
  for (int i = 0; i < 1'000; ++i) {
    audit_page page{make.text(), {make.record(), make.record()}};
    INFO(dump(as_json(page)));
    auto received = rpc::audit_page_from_json(over_the_wire(as_json(page)));
    REQUIRE(received);
    REQUIRE(received->store_root == page.store_root);
    REQUIRE(received->records.size() == 2);
    for (size_t n = 0; n < 2; ++n) {
      const auto& a = page.records[n];
      const auto& b = received->records[n];
      REQUIRE(dump(as_json(a, "")) == dump(as_json(b, "")));
      REQUIRE(std::tie(a.latency_us, a.peer.uid, a.peer.pid, a.key)
              == std::tie(b.latency_us, b.peer.uid, b.peer.pid, b.key));
    }
  }
}

TEST_CASE("the verdict on an audit is unchanged after a round trip through JSON") {
  for (const auto& each : {audit_verdict{10, 0, 0, "", "ab"}, audit_verdict{10, 2, 7, "a hash is wrong", "cd"}}) {
    auto received = rpc::audit_verdict_from_json(over_the_wire(as_json(each)));
    REQUIRE(received);
    CHECK(std::tie(each.records, each.broken, each.first_broken, each.reason, each.head)
          == std::tie(received->records, received->broken, received->first_broken, received->reason, received->head));
  }
}

} // namespace sluice::test::codec_property_test
