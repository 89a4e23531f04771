#include "runtime/os/open_files.hpp"

#include "runtime/os/descriptor.hpp"

#include <algorithm>
#include <ctime>
#include <fcntl.h>
#include <sys/resource.h>

namespace sluice {

namespace {

constexpr uint64_t of_first_connection = 5;
constexpr uint64_t of_further_connection = 2;
// The minimum that a broker needs, however low the limit is.
constexpr uint64_t least_max = 20;
// A database that is still open after this time is used by a cursor or a long request, and cannot be closed now.
constexpr int64_t time_to_close_ms = 1'000;
constexpr uint32_t retry_for_files_after_ms = 250;

uint64_t cost_of(uint64_t connections) noexcept {
  return connections == 0 ? 0 : of_first_connection + (connections - 1) * of_further_connection;
}

// Uses a clock that costs no system call; exact to a few milliseconds.
int64_t coarse_ms() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return int64_t{now.tv_sec} * 1'000 + now.tv_nsec / 1'000'000;
}

uint64_t limit_of_process() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

// A new descriptor gets the lowest free number, so all lower ones are in use.
uint64_t free_in_process(uint64_t limit) {
  descriptor next{::open("/", O_PATH | O_CLOEXEC)};
  if (!next)
    return 0;
  auto in_use = static_cast<uint64_t>(next.get());
  return limit > in_use ? limit - in_use : 0;
}

} // namespace

void file_use::begin() noexcept {
  last_use_ms_.store(coarse_ms(), std::memory_order_relaxed);
  if (is_to_be_closed())
    asked_at_ms_.store(0, std::memory_order_relaxed);
}

open_files::open_files(uint64_t max_descriptors) : open_files(max_descriptors, {&limit_of_process, &free_in_process}) {}

open_files::open_files(uint64_t max_descriptors, process machine)
  : max_descriptors_(max_descriptors), machine_(std::move(machine)) {}

uint64_t open_files::max(uint64_t limit) const noexcept {
  return max_descriptors_ > 0 ? max_descriptors_ : std::max(least_max, limit / 2);
}

caf::expected<open_files::share> open_files::open(const std::shared_ptr<file_use>& use) {
  auto limit = machine_.limit();
  auto left = machine_.free(limit);
  std::vector<std::string> to_close;
  std::string refusal;
  {
    std::lock_guard guard{mutex_};
    auto cost = cost_of(use->connections_ + 1) - cost_of(use->connections_);
    auto wanted = used_ + cost;
    auto soon_full = max(limit) / 4 * 3;
    auto excess = wanted > soon_full ? wanted - soon_full : 0;
    auto reserve = limit / 8 + cost;
    if (left < reserve)
      excess = std::max(excess, reserve - left);
    auto will_be_closed = false;
    if (excess > 0)
      to_close = ask_to_close(excess, *use, will_be_closed);
    // Descriptors of the host do not prevent the only database from being opened.
    if ((wanted > max(limit) && used_ > 0) || (left < limit / 16 + cost && will_be_closed)) {
      refusal = shortage(*use);
    } else {
      used_ = wanted;
      if (use->connections_++ == 0)
        open_.push_back(use.get());
    }
  }
  request_close(to_close);
  if (refusal.empty())
    return share{shared_from_this(), use};
  return make_error(errc::busy, std::move(refusal), {.retry_after_ms = retry_for_files_after_ms});
}

caf::error open_files::explain(const file_use& use, caf::error error) {
  // SQLite has closed the files again that it opened before it failed.
  if (code_of(error) != errc::io_error || machine_.free(machine_.limit()) >= of_first_connection)
    return error;
  auto will_be_closed = false;
  std::vector<std::string> to_close;
  std::string refusal;
  {
    std::lock_guard guard{mutex_};
    to_close = ask_to_close(2 * of_first_connection, use, will_be_closed);
    refusal = shortage(use);
  }
  request_close(to_close);
  return make_error(will_be_closed ? errc::busy : errc::unavailable, std::move(refusal),
                    {.retry_after_ms = retry_for_files_after_ms});
}

std::vector<std::string> open_files::ask_to_close(uint64_t descriptors, const file_use& but, bool& will_be_closed) {
  auto now = coarse_ms();
  uint64_t requested = 0;
  std::vector<file_use*> idle;
  for (auto* file : open_) {
    auto asked_at = file->asked_at_ms_.load(std::memory_order_relaxed);
    if (asked_at != 0 && now - asked_at < time_to_close_ms)
      requested += cost_of(file->connections_);
    else if (asked_at != 0)
      file->begin();
    else if (file != &but && !file->is_in_use_.load(std::memory_order_relaxed))
      idle.push_back(file);
  }
  std::stable_sort(idle.begin(), idle.end(), [](const file_use* a, const file_use* b) {
    return a->last_use_ms_.load() < b->last_use_ms_.load();
  });
  std::vector<std::string> result;
  for (auto* file : idle) {
    if (requested >= descriptors)
      break;
    requested += cost_of(file->connections_);
    file->asked_at_ms_.store(now, std::memory_order_relaxed);
    result.push_back(file->db());
  }
  will_be_closed = requested > 0;
  return result;
}

std::string open_files::shortage(const file_use& use) const {
  auto limit = machine_.limit();
  return "cannot open '" + use.db() + "', too many open files: " + std::to_string(open_.size())
         + " databases are open, with " + std::to_string(used_) + " of the " + std::to_string(max(limit))
         + " descriptors that they may have, and the limit of the process is " + std::to_string(limit)
         + "; use fewer databases at a time, or raise the limit (ulimit -n, max_open_files)";
}

void open_files::request_close(const std::vector<std::string>& databases) const {
  if (close_)
    for (const auto& db : databases)
      close_(db);
}

void open_files::give_back(file_use& use) noexcept {
  std::lock_guard guard{mutex_};
  used_ -= cost_of(use.connections_) - cost_of(use.connections_ - 1);
  if (--use.connections_ > 0)
    return;
  std::erase(open_, &use);
  use.asked_at_ms_.store(0, std::memory_order_relaxed);
}

uint64_t open_files::used() const {
  std::lock_guard guard{mutex_};
  return used_;
}

} // namespace sluice
