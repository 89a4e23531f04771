#include "actors/log/log_queue.hpp"

#include "actors/base/utf8_text.hpp"

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

namespace sluice {

namespace {

constexpr size_t longest_name = 256;

} // namespace

log_queue::log_queue(log_limits limits, std::shared_ptr<const clock> time)
  : limits_(limits), time_(std::move(time)), waker_(limits.interval, time_) {}

void log_queue::push(log_level level, std::string_view source, std::string_view message,
                     std::string_view agent) noexcept {
  try {
    auto text = take_characters(message, limits_.message);
    log_entry entry;
    entry.ts_us = wall_us(*time_);
    // A host may cast any number to a level.
    entry.level = std::min(level, log_level::critical);
    entry.source = take_characters(source, longest_name).text;
    entry.agent = take_characters(agent, longest_name).text;
    entry.message = std::move(text.text);
    auto done = push(std::move(entry), text.cut);
    if (done.wake == wake_kind::at_once)
      waker_.wake_now();
    else if (done.wake == wake_kind::later)
      waker_.wake_later();
  } catch (const std::exception&) {
    // Memory is lacking for the entry.
    std::lock_guard guard{mutex_};
    ++dropped_;
    ++missing_;
  }
}

log_queue::pushed log_queue::push(log_entry entry, bool cut) {
  pushed result;
  std::lock_guard guard{mutex_};
  cut_ += cut ? 1 : 0;
  if (closed_) {
    ++dropped_;
    result.dropped = std::move(entry);
    return result;
  }
  auto was_empty = waiting_.empty();
  waiting_.push_back(std::move(entry));
  if (waiting_.size() + under_way_ > limits_.entries && !was_empty) {
    result.dropped = std::move(waiting_.front());
    waiting_.pop_front();
    ++dropped_;
    ++missing_;
  }
  if (waiting_.size() >= limits_.batch)
    result.wake = wake_kind::at_once;
  else if (was_empty)
    result.wake = wake_kind::later;
  return result;
}

log_batch log_queue::take(size_t most) {
  log_batch result;
  std::lock_guard guard{mutex_};
  auto end = waiting_.begin() + static_cast<ptrdiff_t>(std::min(most, waiting_.size()));
  result.entries.assign(std::move_iterator{waiting_.begin()}, std::move_iterator{end});
  waiting_.erase(waiting_.begin(), end);
  under_way_ += result.entries.size();
  result.missing = std::exchange(missing_, 0);
  waker_.looked();
  return result;
}

void log_queue::written(size_t count) {
  std::lock_guard guard{mutex_};
  under_way_ -= count;
}

void log_queue::put_back(log_batch batch) {
  std::lock_guard guard{mutex_};
  under_way_ -= batch.entries.size();
  missing_ += batch.missing;
  auto room = limits_.entries - std::min<uint64_t>(limits_.entries, waiting_.size());
  auto surplus = batch.entries.size() - std::min<uint64_t>(batch.entries.size(), room);
  lost_ += surplus;
  missing_ += surplus;
  waiting_.insert(waiting_.begin(), std::move_iterator{batch.entries.begin() + static_cast<ptrdiff_t>(surplus)},
                  std::move_iterator{batch.entries.end()});
}

uint64_t log_queue::size() const {
  std::lock_guard guard{mutex_};
  return waiting_.size() + under_way_;
}

void log_queue::close() {
  {
    std::lock_guard guard{mutex_};
    closed_ = true;
  }
  waker_.close();
}

void log_queue::abandon() {
  std::deque<log_entry> gone;
  std::lock_guard guard{mutex_};
  gone.swap(waiting_);
  lost_ += gone.size();
}

void log_queue::describe(log_status& to) const {
  std::lock_guard guard{mutex_};
  to.queued = waiting_.size() + under_way_;
  to.dropped = dropped_;
  to.lost = lost_;
  to.cut = cut_;
}

} // namespace sluice
