#include "runtime/json/json.hpp"
#include "runtime/json/time_argument.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/server/rpc/strict_json.hpp"
#include "tests/fuzz/targets.hpp"

namespace sluice::test::fuzz {

namespace {

using nlohmann::json;

bool same(const value& a, const value& b) {
  // A NaN is not equal to itself, so this compares the documents.
  return a.kind() == b.kind() && dump(as_json(a)) == dump(as_json(b));
}

void read_value(const json& document) {
  auto first = value_from_json(document, "x");
  if (!first)
    return must(describe(first.error()).code == errc::invalid_request, "a bad value is an invalid request");
  auto again = sluice::rpc::parse_strictly(dump(as_json(*first)));
  must(again.engaged(), "what was written is read");
  auto second = value_from_json(*again, "x");
  must(second && same(*first, *second), "a value is written and read as itself");
}

void read_parameters(const json& document) {
  auto first = parameters_from_json(document);
  if (!first)
    return;
  for (const auto& v : first->positional)
    read_value(as_json(v));
  must(first->positional.empty() || first->named.empty(), "parameters are given in one way");
}

template <class Decode> void read_answer(Decode decode, const json& document) {
  auto first = decode(document);
  if (!first)
    return;
  auto written = as_json(*first);
  auto second = decode(written);
  must(second && as_json(*second) == written, "an answer is written and read as itself");
}

} // namespace

void values(std::string_view input) {
  parse_cli_value(input);
  auto document = sluice::rpc::parse_strictly(input);
  if (!document)
    return must(!describe(document.error()).message.empty(), "a refusal has a reason");
  read_value(*document);
  read_parameters(*document);
  read_answer(sluice::rpc::write_result_from_json, *document);
  read_answer(sluice::rpc::read_result_from_json, *document);
  read_answer(sluice::rpc::log_page_from_json, *document);
  sluice::rpc::audit_page_from_json(*document);
  sluice::rpc::audit_verdict_from_json(*document);
  sluice::rpc::failure_from_json(*document);
}

} // namespace sluice::test::fuzz
