#pragma once

#include "runtime/lab/scenario/backend.hpp"

#include <filesystem>
#include <memory>

namespace sluice::scenario {

struct real_backend_options {
  /// The `sluice` program: its hidden commands run the broker with fault injection and the external process.
  std::filesystem::path program;
  /// An empty folder for the store (`store/`) and for files of the backend. Not removed at the end.
  std::filesystem::path folder;
};

/// The real runtime: each agent is a client of its own, and the first one that needs a broker starts it, as `sluice
/// exec` does. The scenario controls the actors, the disk and the life of that process. The backend's destructor ends
/// the broker and waits for it.
std::unique_ptr<backend> make_real_backend(real_backend_options options);

} // namespace sluice::scenario
