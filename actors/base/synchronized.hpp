#pragma once

#include <mutex>
#include <utility>

namespace sluice {

/// State that an actor publishes for operators, so that they need not wait for its mailbox. Thread-safe.
template <class T> class synchronized {
public:
  T get() const {
    std::lock_guard guard{mutex_};
    return content_;
  }

  /// Calls `f` with the content, to change it; `f` must be short.
  template <class F> void change(F f) {
    std::lock_guard guard{mutex_};
    f(content_);
  }

private:
  mutable std::mutex mutex_;
  T content_;
};

} // namespace sluice
