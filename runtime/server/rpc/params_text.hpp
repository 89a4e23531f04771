#pragma once

#include "messages/read.hpp"
#include "messages/write.hpp"

#include <optional>
#include <string>

namespace sluice::rpc {

/// The parameters of the request as one line of JSON: the content of `params_of`, written without building a DOM.
/// Nothing when parameters have names, or when text that is not a value is not UTF-8, which cannot be sent.
std::optional<std::string> text_of_params(const write_request& request);
std::optional<std::string> text_of_params(const read_request& request);

} // namespace sluice::rpc
