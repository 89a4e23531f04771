#include "runtime/broker/answer_batch.hpp"

#include <caf/actor_system.hpp>
#include <caf/ref_counted.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <algorithm>
#include <memory>
#include <utility>

namespace sluice {

namespace {

// For fewer jobs, waking another worker costs more than it gains.
constexpr size_t jobs_per_worker = 4;

// A job of the scheduler that puts others into the queue of the worker that runs it.
class job_spreader final : public caf::ref_counted, public caf::resumable {
public:
  explicit job_spreader(std::vector<caf::resumable*> jobs) : jobs_(std::move(jobs)) {}
  // Its jobs remain if the scheduler was stopped before it ran.
  ~job_spreader() override {
    for (auto* job : jobs_)
      caf::intrusive_ptr_release(job);
  }
  job_spreader(const job_spreader&) = delete;
  job_spreader& operator=(const job_spreader&) = delete;

  subtype_t subtype() const override { return function_object; }

  resume_result resume(caf::execution_unit* worker, size_t) override {
    // A worker puts each job at the front of its queue, so the last one is put first.
    while (!jobs_.empty()) {
      auto* job = jobs_.back();
      jobs_.pop_back();
      worker->exec_later(job);
    }
    return done;
  }

  void intrusive_ptr_add_ref_impl() override { ref(); }
  void intrusive_ptr_release_impl() override { deref(); }

private:
  std::vector<caf::resumable*> jobs_;
};

} // namespace

answer_batch::answer_batch(caf::actor_system& system) : caf::execution_unit(&system) {}

answer_batch::~answer_batch() { flush(); }

void answer_batch::exec_later(caf::resumable* job) { jobs_.push_back(job); }

void answer_batch::flush() {
  if (jobs_.empty())
    return;
  auto& scheduler = system().scheduler();
  auto parts =
    std::min((jobs_.size() + jobs_per_worker - 1) / jobs_per_worker, std::max<size_t>(scheduler.num_workers(), 1));
  if (jobs_.size() == 1) {
    scheduler.enqueue(jobs_.front());
  } else {
    for (size_t part = 0; part < parts; ++part) {
      // Each part keeps the order of the jobs.
      std::vector<caf::resumable*> share;
      for (auto i = part; i < jobs_.size(); i += parts)
        share.push_back(jobs_[i]);
      scheduler.enqueue(new job_spreader(std::move(share)));
    }
  }
  jobs_.clear();
}

} // namespace sluice
