#pragma once

#include "runtime/lab/scenario/backend.hpp"

#include <filesystem>
#include <memory>

namespace sluice::scenario {

struct real_backend_options {
  /// The `sluice` program: its hidden commands are the broker that can fail and the process past the broker.
  std::filesystem::path program;
  /// An empty folder of the scenario's own, for the store (`store/`) and files of the backend. Not removed at the end.
  std::filesystem::path folder;
};

/// The real runtime: agents are clients of their own, and the first of them that needs a broker starts it, as
/// `sluice exec` does. That broker is a process whose actors, disk and life are in the hands of the scenario. Its
/// destruction ends the broker and waits for it.
std::unique_ptr<backend> make_real_backend(real_backend_options options);

} // namespace sluice::scenario
