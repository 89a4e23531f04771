#include "runtime/store/led_folder.hpp"

#include <algorithm>
#include <mutex>
#include <pthread.h>
#include <set>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

namespace sluice {

namespace {

struct registry {
  std::mutex mutex;
  std::multiset<std::pair<pid_t, file_identity>> folders;
};

// Never destroyed: a broker may be static, and end after objects that were created later.
registry& all() {
  static auto& instance = *new registry;
  return instance;
}

void lock_all() { all().mutex.lock(); }
void unlock_all() { all().mutex.unlock(); }

// Locked during a fork, so that a child of another thread finds it unlocked.
[[maybe_unused]] const int handlers_at_fork = pthread_atfork(lock_all, unlock_all, unlock_all);

} // namespace

led_folder::led_folder(const file_identity& folder) : folder_(folder) {
  std::lock_guard guard{all().mutex};
  all().folders.emplace(getpid(), folder_);
}

led_folder::~led_folder() {
  std::lock_guard guard{all().mutex};
  if (auto found = all().folders.find({getpid(), folder_}); found != all().folders.end())
    all().folders.erase(found);
}

bool is_led_here(const file_identity& folder) {
  std::lock_guard guard{all().mutex};
  return all().folders.contains({getpid(), folder});
}

bool was_led_before_fork(const file_identity& folder) {
  std::lock_guard guard{all().mutex};
  return std::any_of(all().folders.begin(), all().folders.end(),
                     [&](const auto& x) { return x.first != getpid() && x.second == folder; });
}

} // namespace sluice
