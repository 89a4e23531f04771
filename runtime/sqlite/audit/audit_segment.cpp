#include "runtime/sqlite/audit/audit_segment.hpp"

#include "runtime/sqlite/ledger/cbor_reader.hpp"
#include "runtime/sqlite/ledger/cbor_writer.hpp"

#include <sqlite3.h>
#include <zstd.h>

#include <algorithm>
#include <new>
#include <type_traits>

namespace sluice::sqlite {

namespace {

// The records of a group mostly differ in one or two numbers; a higher level gains little.
constexpr int compression_level = 1;

// Compression gains little below this size.
constexpr size_t min_compressed_bytes = 256;

// Larger ones were not written by the broker: a segment is full at `segment_encoder::max_bytes`, and no record is much
// larger than that.
constexpr size_t max_expanded_bytes = size_t{64} << 20;

template <class Field> constexpr bool is_integer = std::is_same_v<std::remove_cvref_t<Field>, int64_t>;

// The fields stored per record; `seq` and `store` follow from the segment.
template <class Row, class F> void for_each_own_field(Row& row, F&& f) {
  for_each_field(row, [&](std::string_view column, auto& field) {
    if (column != "seq" && column != "store")
      f(field);
  });
}

size_t count_own_fields() {
  const audit_row row;
  size_t count = 0;
  for_each_own_field(row, [&](const auto&) { ++count; });
  return count;
}

// A record with a capsule also has the reason, the hash of the capsule and that of the policy.
constexpr size_t reason_and_capsule = 3;

bool is_frame(std::string_view records) noexcept {
  constexpr std::string_view magic{"\x28\xb5\x2f\xfd"};
  return records.starts_with(magic);
}

template <class Context> Context* require_context(Context* context) {
  if (!context)
    throw std::bad_alloc{};
  return context;
}

} // namespace

void bind_segment(prepared_statement& to, const audit_segment& segment) {
  to.bind(1, segment.first_seq);
  to.bind(2, segment.last_seq);
  to.bind(3, segment.store);
  to.bind(4, segment.newest_us);
  to.bind_blob(5, segment.prev_hash);
  to.bind_blob(6, segment.hash);
  to.bind_blob(7, segment.records);
}

audit_segment read_segment(const prepared_statement& from) {
  audit_segment result;
  auto has_type = [&](int column, int type) {
    result.is_well_typed &= sqlite3_column_type(from.handle(), column) == type;
  };
  for (auto column : {0, 1, 2, 3})
    has_type(column, SQLITE_INTEGER);
  for (auto column : {4, 5, 6})
    has_type(column, SQLITE_BLOB);
  result.first_seq = from.integer(0);
  result.last_seq = from.integer(1);
  result.store = from.integer(2);
  result.newest_us = from.integer(3);
  result.prev_hash = from.blob(4);
  result.hash = from.blob(5);
  result.records = from.blob(6);
  return result;
}

chain_hash::digest segment_hash(chain_hash& hash, const audit_segment& segment, std::string_view store_root) {
  hash.add(segment.prev_hash).add(store_root);
  for (auto number : {segment.first_seq, segment.last_seq, segment.store, segment.newest_us})
    hash.add(static_cast<uint64_t>(number));
  return hash.add(segment.records).finish();
}

segment_encoder::segment_encoder() : context_(require_context(ZSTD_createCCtx())) {}

void segment_encoder::release::operator()(ZSTD_CCtx_s* context) const noexcept { ZSTD_freeCCtx(context); }

void segment_encoder::clear() noexcept {
  plain_.clear();
  count_ = 0;
}

void segment_encoder::add(const audit_row& row) {
  static const auto fields = count_own_fields();
  newest_us_ = count_++ == 0 ? row.ts_us : std::max(newest_us_, row.ts_us);
  cbor_writer to{plain_};
  auto has_capsule = !row.capsule.empty();
  to.array(fields + (has_capsule ? reason_and_capsule : row.reason.empty() ? 0 : 1));
  for_each_own_field(row, [&](const auto& field) {
    if constexpr (is_integer<decltype(field)>)
      to.integer(field);
    else
      to.text(field);
  });
  // Few records have a reason or a capsule, and earlier versions wrote none.
  if (has_capsule || !row.reason.empty())
    to.text(row.reason);
  if (!has_capsule)
    return;
  to.bytes(row.capsule);
  to.bytes(row.policy);
}

std::string_view segment_encoder::encoded() {
  if (plain_.size() < min_compressed_bytes)
    return plain_;
  compressed_.resize(ZSTD_compressBound(plain_.size()));
  auto size = ZSTD_compressCCtx(context_.get(), compressed_.data(), compressed_.size(), plain_.data(), plain_.size(),
                                compression_level);
  if (ZSTD_isError(size) != 0 || size >= plain_.size())
    return plain_;
  return std::string_view{compressed_}.substr(0, size);
}

segment_decoder::segment_decoder() : context_(require_context(ZSTD_createDCtx())) {}

void segment_decoder::release::operator()(ZSTD_DCtx_s* context) const noexcept { ZSTD_freeDCtx(context); }

bool segment_decoder::expand(std::string_view records) {
  auto size = ZSTD_getFrameContentSize(records.data(), records.size());
  // The two values for "unknown" and "no frame" are greater than any size.
  if (size > max_expanded_bytes)
    return false;
  plain_.resize(size);
  auto got = ZSTD_decompressDCtx(context_.get(), plain_.data(), plain_.size(), records.data(), records.size());
  return ZSTD_isError(got) == 0 && got == size;
}

std::span<const audit_row> segment_decoder::decode(const audit_segment& segment) {
  static const auto fields = count_own_fields();
  rows_.clear();
  auto is_compressed = is_frame(segment.records);
  if (is_compressed && !expand(segment.records))
    return {};
  cbor_reader from{is_compressed ? std::string_view{plain_} : segment.records};
  auto first = static_cast<uint64_t>(segment.first_seq);
  while (!from.at_end()) {
    auto& row = rows_.emplace_back();
    row.seq = static_cast<int64_t>(first + rows_.size() - 1);
    row.store = segment.store;
    auto found = from.array();
    if (found != fields && found != fields + 1 && found != fields + reason_and_capsule)
      return {};
    for_each_own_field(row, [&](auto& field) {
      if constexpr (is_integer<decltype(field)>)
        field = from.integer();
      else
        field = from.text();
    });
    if (found > fields)
      row.reason = from.text();
    if (found != fields + reason_and_capsule)
      continue;
    row.capsule = from.bytes();
    row.policy = from.bytes();
  }
  if (from.has_failed() || static_cast<uint64_t>(segment.last_seq) - first + 1 != rows_.size())
    return {};
  return rows_;
}

} // namespace sluice::sqlite
