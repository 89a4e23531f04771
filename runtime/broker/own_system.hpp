#pragma once

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <functional>
#include <future>
#include <memory>

namespace sluice {

/// Runs `work` in a new thread and waits for it; throws what it throws, and `std::system_error` when there can be no
/// thread. What CAF leaves in a thread that makes an actor or a system, a counted pointer to the system's logger, for
/// which the end of the system waits, is gone with that thread.
void run_in_new_thread(const std::function<void()>& work);

/// Runs `work` in a new thread. Only the end of the program waits for it, for ten seconds. False when
/// there can be no thread. `work` throws nothing.
bool run_in_background(const std::function<void()>& work);

/// The actor system of a broker for hosts of plain threads. Made and destroyed in threads of its own, so that it leaves
/// no thread-local state in those of the host.
///
/// Its destruction waits for the actors that the host has spawned in it, but not for ever; and for threads of the host
/// that have spawned actors in it and live on, to which CAF ties it, for a moment: then its last thread goes on with
/// that.
class own_system {
public:
  /// @param threads of the scheduler. Throws what CAF throws, and `std::system_error`.
  explicit own_system(size_t threads);
  own_system(const own_system&) = delete;
  own_system& operator=(const own_system&) = delete;
  ~own_system();

  caf::actor_system& get() noexcept { return *parts_->system; }

  /// Whether the calling thread is one of this system's, which its destruction would wait for.
  bool is_own_thread() const noexcept;

  /// Has it destroyed in another thread, without waiting for that: by a thread that is its own.
  void destroy_later();

private:
  struct parts {
    caf::actor_system_config config;
    std::unique_ptr<caf::actor_system> system;
  };

  std::function<void()> destruction(std::shared_ptr<std::promise<void>> agents_ended);

  std::unique_ptr<parts> parts_;
};

} // namespace sluice
