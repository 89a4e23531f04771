#include "runtime/sqlite/buffer/buffer_codec.hpp"
#include "runtime/sqlite/ledger/cbor_values.hpp"
#include "runtime/sqlite/ledger/ledger_codec.hpp"
#include "tests/fuzz/targets.hpp"

#include <nlohmann/json.hpp>

namespace sluice::test::fuzz {

namespace {

// Writes a decoded record, reads it and writes it again; the bytes must be the same.
template <class Decode, class Encode> void round_trip(std::string_view bytes, Decode decode, Encode encode) {
  auto first = decode(bytes);
  if (!first)
    return;
  auto written = encode(*first);
  auto second = decode(written);
  must(second.has_value(), "what was written is read");
  must(encode(*second) == written, "a record is written and read as itself");
}

} // namespace

void records(std::string_view input) {
  if (input.empty())
    return;
  auto which = input[0];
  input.remove_prefix(1);
  switch (which & 3) {
  case 0: return round_trip(input, sqlite::decode_put, sqlite::encode_put);
  case 1: return round_trip(input, sqlite::decode_request, sqlite::encode_request);
  case 2: return round_trip(input, sqlite::decode_outcome, sqlite::encode_outcome);
  default: sqlite::decode_requests(input);
  }
}

} // namespace sluice::test::fuzz
