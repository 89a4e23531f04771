#pragma once

#include "runtime/sqlite/audit/audit_row.hpp"
#include "runtime/sqlite/core/statement.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace sluice::sqlite {

/// Consecutive records of one store: a row of the table `segments`. Its texts are views; the owner of a segment keeps
/// the texts alive.
struct audit_segment {
  int64_t first_seq = 0;
  int64_t last_seq = 0;
  /// Row of the table `stores`.
  int64_t store = 0;
  /// The greatest `ts_us` of the records.
  int64_t newest_us = 0;
  /// The hash of the segment before.
  std::string_view prev_hash;
  std::string_view hash;
  /// A CBOR sequence (RFC 8742) of an array per record: its fields as `for_each_field` has them, without `seq` and
  /// `store`; with a capsule also its hash and that of the policy. As a zstd frame (RFC 8878) where that is shorter; a
  /// sequence begins with another byte than a frame.
  std::string_view records;
  /// Whether every column holds a value of its type.
  bool is_well_typed = true;
};

/// "first_seq, last_seq, ..., records": the columns in order, for statements.
inline constexpr std::string_view segment_columns = "first_seq, last_seq, store, newest_us, prev_hash, hash, records";

/// Binds every column from parameter 1 on.
void bind_segment(prepared_statement& to, const audit_segment& segment);

/// Reads the columns of the current row; valid until the next step.
audit_segment read_segment(const prepared_statement& from);

/// The hash of `segment`, which covers its columns, the root of its store, and through `prev_hash` all before it.
chain_hash::digest segment_hash(chain_hash& hash, const audit_segment& segment, std::string_view store_root);

/// Builds the `records` of one segment after another. Used by one thread at a time.
class segment_encoder {
public:
  segment_encoder();

  /// A segment with this many is full: this bounds the loss by one damaged page, and the memory of a reader.
  static constexpr size_t max_records = 1'024;
  static constexpr size_t max_bytes = size_t{1} << 20;

  /// Begins a new segment.
  void clear() noexcept;

  void add(const audit_row& row);

  size_t size() const noexcept { return count_; }
  bool is_full() const noexcept { return count_ >= max_records || plain_.size() >= max_bytes; }

  /// The greatest `ts_us` of the added records.
  int64_t newest_us() const noexcept { return newest_us_; }

  /// The added records, in the format of the column; valid until the next call.
  std::string_view encoded();

private:
  struct release {
    void operator()(ZSTD_CCtx_s* context) const noexcept;
  };

  std::string plain_;
  std::string compressed_;
  size_t count_ = 0;
  int64_t newest_us_ = 0;
  std::unique_ptr<ZSTD_CCtx_s, release> context_;
};

/// Reads the records of one segment after another. Used by one thread at a time.
class segment_decoder {
public:
  segment_decoder();

  /// The records of `segment` in order; none when a `segment_encoder` did not write them. Valid until the next call,
  /// and as long as `segment.records`.
  std::span<const audit_row> decode(const audit_segment& segment);

private:
  struct release {
    void operator()(ZSTD_DCtx_s* context) const noexcept;
  };

  bool expand(std::string_view records);

  std::string plain_;
  std::vector<audit_row> rows_;
  std::unique_ptr<ZSTD_DCtx_s, release> context_;
};

} // namespace sluice::sqlite
