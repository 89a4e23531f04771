#pragma once

#include "runtime/cli/commands.hpp"

#include <functional>

namespace sluice {

class broker;

} // namespace sluice

namespace sluice::cli {

/// Callbacks of a broker that `serve` runs; any of them may be empty.
struct serve_hooks {
  /// Called in the process that will serve, before it opens any file of the store.
  std::function<void()> begins;
  /// Called when clients can connect, before this is announced.
  std::function<void(broker&)> leads;
  /// Called just before the broker is shut down.
  std::function<void()> stops;
};

/// Declares the options of `serve`.
void declare_serve(CLI::App& command, action& chosen, serve_hooks hooks);

} // namespace sluice::cli
