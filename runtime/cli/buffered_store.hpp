#pragma once

#include "runtime/client/client.hpp"

#include <filesystem>
#include <memory>

namespace sluice::cli {

/// A way to the store `root` for commands that deal with what its write-behind buffer holds: the broker that leads it;
/// this process where none does, but a broker has left something behind, to take it from there; and null where neither
/// is the case, because nothing is buffered then. Never starts a broker, and does not make a folder a store.
caf::expected<std::unique_ptr<client>> open_buffered(const std::filesystem::path& root);

} // namespace sluice::cli
