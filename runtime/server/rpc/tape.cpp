#include "runtime/server/rpc/tape.hpp"

#include <mutex>

namespace sluice::rpc {

namespace {

// Never destroyed, so that threads of a host may parse while the program exits.
struct simdjson_state {
  std::mutex mutex;
  bool has_ended = false;
};

simdjson_state& state() {
  static auto* const kept = new simdjson_state;
  return *kept;
}

// simdjson makes its parsers with a static object of its own, which is destroyed when the program exits. This object is
// constructed after that one, and so destroyed before it.
struct exit_notice {
  exit_notice() { simdjson::get_active_implementation()->name(); }
  exit_notice(const exit_notice&) = delete;
  exit_notice& operator=(const exit_notice&) = delete;
  ~exit_notice() {
    std::lock_guard held{state().mutex};
    state().has_ended = true;
  }
};

const exit_notice notice;

} // namespace

bool tape::make_parser() {
  constexpr size_t first_capacity = 1'024;
  std::lock_guard held{state().mutex};
  return !state().has_ended && parser_.allocate(first_capacity) == simdjson::SUCCESS;
}

} // namespace sluice::rpc
