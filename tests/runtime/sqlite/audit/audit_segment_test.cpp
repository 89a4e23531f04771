#include "runtime/sqlite/audit/audit_segment.hpp"

#include <catch2/catch.hpp>

#include <limits>
#include <random>
#include <string>
#include <vector>

namespace sluice::test::audit_segment_test {

using namespace sluice::sqlite;

namespace {

using numbers = std::mt19937_64;

int64_t any_number(numbers& random) {
  switch (random() % 4) {
  case 0: return static_cast<int64_t>(random() % 30);
  case 1: return -static_cast<int64_t>(random() % 70'000);
  case 2: return random() % 2 == 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
  default: return static_cast<int64_t>(random());
  }
}

std::string any_text(numbers& random) {
  std::string result(random() % 3 == 0 ? 0 : random() % 400, ' ');
  for (auto& c : result)
    c = static_cast<char>(random());
  return result;
}

// The texts of the row are views into `kept`.
audit_row any_row(numbers& random, std::vector<std::string>& kept) {
  audit_row row;
  for_each_field(row, [&](const char*, auto& field) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(field)>, int64_t>)
      field = any_number(random);
    else
      field = kept.emplace_back(any_text(random));
  });
  // Most records have none.
  if (random() % 4 == 0)
    row.reason = kept.emplace_back(any_text(random));
  if (random() % 4 == 0) {
    row.capsule = kept.emplace_back(32, static_cast<char>(random()));
    row.policy = kept.emplace_back(32, static_cast<char>(random()));
  }
  return row;
}

bool same(const audit_row& a, const audit_row& b) {
  std::string texts[2];
  auto* to = texts;
  for (const auto* row : {&a, &b}) {
    for_each_field(*row, [&](std::string_view, const auto& field) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(field)>, int64_t>)
        *to += std::to_string(field) + '|';
      else
        (*to += field) += '|';
    });
    for (auto text : {row->reason, row->capsule, row->policy})
      (*to += text) += '|';
    ++to;
  }
  return texts[0] == texts[1];
}

struct made_segment {
  std::vector<std::string> kept;
  std::vector<audit_row> rows;
  std::string bytes;
  audit_segment segment;
};

void make(made_segment& to, numbers& random, size_t count) {
  to.kept.reserve(16 * count);
  segment_encoder encoder;
  to.segment.first_seq = 1 + static_cast<int64_t>(random() % 1'000);
  to.segment.last_seq = to.segment.first_seq + static_cast<int64_t>(count) - 1;
  to.segment.store = 3;
  for (size_t i = 0; i < count; ++i) {
    auto& row = to.rows.emplace_back(any_row(random, to.kept));
    row.seq = to.segment.first_seq + static_cast<int64_t>(i);
    row.store = to.segment.store;
    encoder.add(row);
  }
  to.bytes = encoder.encoded();
  to.segment.records = to.bytes;
}

} // namespace

TEST_CASE("1 to 20 random records are unchanged after a round trip through a segment") {
  numbers random{GENERATE(range(1U, 40U))};
  made_segment made;
  make(made, random, 1 + random() % 20);
  segment_decoder decoder;
  auto found = decoder.decode(made.segment);
  REQUIRE(found.size() == made.rows.size());
  for (size_t i = 0; i < found.size(); ++i)
    CHECK(same(found[i], made.rows[i]));
}

TEST_CASE("a segment whose numbers do not match its count of records decodes to no records") {
  numbers random{1};
  made_segment made;
  make(made, random, 5);
  segment_decoder decoder;
  for (auto last : {made.segment.last_seq - 1, made.segment.last_seq + 1, int64_t{-1},
                    std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()}) {
    made.segment.last_seq = last;
    CHECK(decoder.decode(made.segment).empty());
  }
}

TEST_CASE("damaged bytes decode to no records or to all of them, without a crash") {
  numbers random{GENERATE(range(1U, 30U))};
  made_segment made;
  make(made, random, 1 + random() % 3);
  segment_decoder decoder;
  for (auto i = 0; i < 200; ++i) {
    auto bytes = made.bytes;
    if (random() % 2 == 0)
      bytes.resize(random() % bytes.size());
    else
      for (auto changes = 1 + random() % 4; changes > 0; --changes)
        bytes[random() % bytes.size()] = static_cast<char>(random());
    auto segment = made.segment;
    segment.records = bytes;
    // A change within a text still gives a valid record; only the hash shows it.
    auto found = decoder.decode(segment);
    CHECK((found.empty() || found.size() == made.rows.size()));
  }
}

TEST_CASE("a frame that declares a size beyond any segment is not decompressed") {
  // Magic, a single segment with a content size of 8 bytes: 2^40.
  std::string frame{"\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x00\x00\x01\x00\x00", 13};
  audit_segment segment;
  segment.first_seq = segment.last_seq = 1;
  segment.records = frame;
  CHECK(segment_decoder{}.decode(segment).empty());
}

TEST_CASE("similar records take less than 30 bytes each") {
  segment_encoder encoder;
  for (auto i = 0; i < 1'000; ++i) {
    auto id = "w" + std::to_string(i) + "1nyd58n75ryb";
    auto key = "auto-01a229c3b8dd-9bdc5cf94dccd852-5061-" + std::to_string(i);
    audit_row row;
    row.ts_us = 1'795'997'022'000'000 + 97 * i;
    row.request_id = id;
    row.agent = "agent";
    row.db = "app.db";
    row.request_type = "write";
    row.key = key;
    row.status = "committed";
    row.latency_us = 100 + i % 50;
    row.commit_seq = i;
    row.tables = R"(["t"])";
    encoder.add(row);
  }
  CHECK(encoder.encoded().size() < 30'000);
}

TEST_CASE("a segment is full at a number of records, and at a number of bytes") {
  segment_encoder encoder;
  audit_row row;
  while (!encoder.is_full())
    encoder.add(row);
  CHECK(encoder.size() == segment_encoder::max_records);
  encoder.clear();
  std::string text(segment_encoder::max_bytes / 2, 'x');
  row.key = text;
  encoder.add(row);
  CHECK_FALSE(encoder.is_full());
  encoder.add(row);
  CHECK(encoder.is_full());
}

} // namespace sluice::test::audit_segment_test
