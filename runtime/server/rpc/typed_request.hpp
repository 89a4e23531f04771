#pragma once

#include "messages/read.hpp"
#include "messages/write.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <variant>

namespace sluice::rpc {

/// A call of `write` or `read` whose parameters have been read already.
struct typed_request {
  /// The id of the call.
  uint64_t id = 0;
  std::variant<write_request, read_request> content;
};

/// Reads the most frequent requests without building a DOM: single calls of `write` or `read` with a number as their
/// id, of moderate size, with valid parameters and no tagged values. Used by one thread.
class typed_reader {
public:
  typed_reader();
  ~typed_reader();

  /// Nothing for any other document, which `parse_strictly` and the codec must check. Otherwise the same result as
  /// theirs.
  std::optional<typed_request> read(std::string_view document);

private:
  class buffers;
  std::unique_ptr<buffers> buffers_;
};

} // namespace sluice::rpc
