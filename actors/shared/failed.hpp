#pragma once

#include "messages/error.hpp"

#include <string>
#include <utility>

namespace sluice {

/// A failure with this code and this message, for people; everything else is as in `failure`.
inline failure failed(errc code, std::string message) {
  failure x;
  x.code = code;
  x.message = std::move(message);
  return x;
}

} // namespace sluice
