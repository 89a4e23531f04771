#pragma once

#include "actors/base/clock.hpp"
#include "messages/error.hpp"
#include "runtime/policy/access_gate.hpp"

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace sluice {

/// The policy of a store, which is read again when `sluice.toml` has changed. With a mistake in the file the earlier
/// policy stays in force. So it does when the file has no policy any more: a file that is being written looks like
/// that, and would open the store to everybody; only a new start takes a policy away. Thread-safe.
class live_policy {
public:
  /// @param first the policy of the configuration with which the broker begins; not null
  /// @param time outlives this
  live_policy(const std::filesystem::path& root, std::shared_ptr<const access_policy> first, const clock& time);

  /// As `access_gate::admit`, by a policy that is at most 100 ms behind its file, or as long as the file keeps
  /// changing.
  admission admit(const principal& who, const access_demand& what);

  /// Likewise.
  std::shared_ptr<const access_policy> current();

  /// From now on `callback` is called, by the thread that finds it, when another policy is in force, or why it is not.
  /// Call it before other threads use this.
  void on_change(std::function<void(std::string_view text, bool is_mistake)> callback) {
    changed_ = std::move(callback);
  }

  /// From now on `callback` is called when another policy has come into force, by the thread that finds it: it must
  /// return soon, and not use this. One at a time; with an empty one the earlier is not called any more.
  void on_other(std::function<void()> callback) {
    std::lock_guard held{other_mutex_};
    other_ = std::move(callback);
  }

  /// Why the file is not in force, as of the last look at it.
  std::optional<failure> mistake() const;

private:
  void refresh_if_due();
  struct news;
  std::optional<news> refresh();
  std::optional<news> load(const std::string& state);

  std::filesystem::path root_;
  const clock& time_;
  access_gate gate_;
  std::atomic<clock::steady::rep> next_check_;
  mutable std::mutex mutex_;
  std::string state_of_file_;
  std::optional<failure> mistake_;
  std::function<void(std::string_view, bool)> changed_;
  std::mutex other_mutex_;
  std::function<void()> other_;
};

} // namespace sluice
