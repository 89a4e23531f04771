#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// Remarks of `exec` and `query` for people, on what to do next.
namespace sluice::cli {

/// About a write whose outcome is unknown. @param has_key whether the user gave it a key
std::string_view remark_on_unknown_write(bool has_key);

/// About rows that were cut off by a bound behind the first `rows`.
std::string remark_on_cut_rows(size_t rows);

/// The same of a call of an operation.
std::string remark_on_cut_answer(size_t rows);

/// About a read that took longer than the settings allow.
inline constexpr std::string_view remark_on_late_read =
  "a read has read_timeout_ms (5 s by default), and more with --timeout MS";

} // namespace sluice::cli
