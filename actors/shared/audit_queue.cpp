#include "actors/shared/audit_queue.hpp"

#include <algorithm>
#include <utility>

namespace sluice {

void audit_queue::push(audit_batch batch) {
  if (batch.records.empty())
    return;
  auto is_event = [](const audit_record& record) { return record.type == request_type::file_event; };
  auto is_urgent = std::any_of(batch.records.begin(), batch.records.end(), is_event);
  {
    std::lock_guard guard{mutex_};
    records_ += batch.records.size();
    waiting_.batches.push_back(std::move(batch));
    while (records_ > max_records && waiting_.batches.size() > 1)
      drop_oldest();
    is_urgent = is_urgent || records_ >= wake_at;
  }
  if (is_urgent)
    waker_.wake_now();
  else
    waker_.wake_later();
}

audit_batches audit_queue::take() {
  waker_.looked();
  std::lock_guard guard{mutex_};
  records_ = 0;
  return std::exchange(waiting_, {});
}

size_t audit_queue::size() const {
  std::lock_guard guard{mutex_};
  return records_;
}

void audit_queue::drop_oldest() {
  const auto& oldest = waiting_.batches.front().records;
  records_ -= oldest.size();
  waiting_.dropped += oldest.size();
  waiting_.dropped_until_us = oldest.back().ts_us;
  waiting_.batches.pop_front();
}

} // namespace sluice
