#include "runtime/os/forks.hpp"

#include <atomic>
#include <mutex>
#include <pthread.h>
#include <set>
#include <unistd.h>
#include <utility>

namespace sluice {

namespace {

std::atomic<uint64_t> forks{0};

struct watched_descriptors {
  std::mutex mutex;
  std::set<int> open;
};

// Never destroyed: brokers that are static objects may end after its destructor would have run.
watched_descriptors& watched() {
  static auto& instance = *new watched_descriptors;
  return instance;
}

void before_fork() { watched().mutex.lock(); }
void in_parent() { watched().mutex.unlock(); }

void in_child() {
  ++forks;
  // The child does not use them, and its copies would keep the parent's locks after the parent's end.
  for (auto fd : watched().open)
    close(fd);
  watched().open.clear();
  watched().mutex.unlock();
}

[[maybe_unused]] const int registered = pthread_atfork(before_fork, in_parent, in_child);

} // namespace

uint64_t fork_count() noexcept { return forks.load(std::memory_order_relaxed); }

unshared_descriptor::unshared_descriptor(descriptor file) : file_(std::move(file)), forks_(fork_count()) {
  if (!file_)
    return;
  std::lock_guard guard{watched().mutex};
  watched().open.insert(file_.get());
}

unshared_descriptor::unshared_descriptor(unshared_descriptor&& other) noexcept
  : file_(std::move(other.file_)), forks_(other.forks_) {}

unshared_descriptor& unshared_descriptor::operator=(unshared_descriptor&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(forks_, other.forks_);
  return *this;
}

void unshared_descriptor::reset() noexcept {
  // The child has closed it already, and may have opened another file under that number.
  if (forks_ != fork_count())
    file_.release();
  if (!file_)
    return;
  std::lock_guard guard{watched().mutex};
  watched().open.erase(file_.get());
  file_.reset();
}

} // namespace sluice
