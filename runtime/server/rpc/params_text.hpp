#pragma once

#include "messages/read.hpp"
#include "messages/write.hpp"

#include <optional>
#include <string>

namespace sluice::rpc {

/// The parameters of the request as one line of JSON: what `params_of` returns, written without a tree. Nothing when
/// parameters have names, or when text that is no value is not UTF-8, which cannot be sent.
std::optional<std::string> text_of_params(const write_request& request);
std::optional<std::string> text_of_params(const read_request& request);

} // namespace sluice::rpc
