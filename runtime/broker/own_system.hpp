#pragma once

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <functional>
#include <future>
#include <memory>

namespace sluice {

/// Runs `work` in a new thread and waits for it; throws the exceptions of `work`, and `std::system_error` when no
/// thread can be created. A thread that creates an actor or a system keeps CAF's counted pointer to the system's
/// logger, for which the end of the system would wait; it ends with the new thread.
void run_in_new_thread(const std::function<void()>& work);

/// Runs `work` in a new thread. Only the end of the program waits for it, for up to ten seconds. False when no thread
/// can be created. `work` must not throw.
bool run_in_background(const std::function<void()>& work);

/// The actor system of a broker for hosts of plain threads. Created and destroyed in threads of its own, so that it
/// leaves no thread-local state in those of the host.
///
/// Its destructor waits a limited time for the actors that the host has spawned in it. It waits only a moment for
/// threads of the host that have spawned actors in it and live on, because CAF ties them to it; after that, its last
/// thread continues in the background.
class own_system {
public:
  /// @param threads the number of scheduler threads. Throws the exceptions of CAF, and `std::system_error`.
  explicit own_system(size_t threads);
  own_system(const own_system&) = delete;
  own_system& operator=(const own_system&) = delete;
  ~own_system();

  caf::actor_system& get() noexcept { return *parts_->system; }

  /// Whether the calling thread belongs to this system, so that its destructor would wait for it.
  bool is_own_thread() const noexcept;

  /// Destroys it in another thread, without waiting; for threads that belong to it.
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
