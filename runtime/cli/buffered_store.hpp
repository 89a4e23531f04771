#pragma once

#include "runtime/client/client.hpp"

#include <filesystem>
#include <memory>

namespace sluice::cli {

/// The client for commands that use the content of the write-behind buffer of `root`: a client of the leading broker;
/// without one, this process leads if a former broker left rows; null otherwise, because nothing is buffered then.
/// Never starts a broker, and never makes a folder a store.
caf::expected<std::unique_ptr<client>> open_buffered(const std::filesystem::path& root);

} // namespace sluice::cli
