#pragma once

#include "messages/read.hpp"
#include "messages/write.hpp"

#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace sluice::rpc {

class tape;

/// Reads answers to `write` and `read` without building a DOM. It reads only lines of moderate size whose result has
/// exactly the expected members and no tagged values. Thread-safe.
class answer_reader {
public:
  answer_reader();
  ~answer_reader();

  /// False for any other line; `to` may have been changed nevertheless.
  bool read(std::string_view line, write_result& to);
  bool read(std::string_view line, read_result& to);

private:
  template <class Result> bool read_with_tape(std::string_view line, Result& to);

  std::mutex mutex_;
  // Idle tapes; as many as threads have read at the same time.
  std::vector<std::unique_ptr<tape>> spare_;
};

} // namespace sluice::rpc
