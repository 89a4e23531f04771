#pragma once

#include "runtime/sqlite/audit/audit_reader.hpp"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <vector>

namespace sluice::test {

/// All records of the audit file `path`, oldest first, read without a broker. Throws the error as an exception.
inline std::vector<audit_record> audit_records_in(const std::filesystem::path& path) {
  auto need = [](auto expected) {
    if (!expected)
      throw std::runtime_error(describe(expected.error()).message);
    return std::move(*expected);
  };
  auto db = need(sqlite::connection::open(path, {}));
  auto reader = need(sqlite::audit_reader::on(db));
  std::vector<audit_record> result;
  auto take = [&](const sqlite::audit_row& row) {
    result.push_back(sqlite::to_record(row));
    return true;
  };
  if (auto done = reader.forward({}, take); !done)
    throw std::runtime_error(describe(done.error()).message);
  return result;
}

/// The number of records for which `f` is true.
template <class F> int64_t count_audit_records(const std::filesystem::path& path, F f) {
  auto records = audit_records_in(path);
  return std::count_if(records.begin(), records.end(), f);
}

} // namespace sluice::test
