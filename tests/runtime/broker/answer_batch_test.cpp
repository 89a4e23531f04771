#include "runtime/broker/answer_batch.hpp"

#include <caf/all.hpp>
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <latch>
#include <vector>

namespace sluice::test::answer_batch_test {

namespace {

class counting_job final : public caf::ref_counted, public caf::resumable {
public:
  counting_job(std::atomic<int>& runs, std::latch& done) : runs_(runs), done_(done) {}

  resume_result resume(caf::execution_unit*, size_t) override {
    ++runs_;
    done_.count_down();
    return done;
  }

  void intrusive_ptr_add_ref_impl() override { ref(); }
  void intrusive_ptr_release_impl() override { deref(); }

private:
  std::atomic<int>& runs_;
  std::latch& done_;
};

} // namespace

TEST_CASE("each job of a batch runs once in the scheduler, whatever their number and that of the workers", "[pool]") {
  auto count = GENERATE(1, 2, 4, 5, 9, 100);
  auto workers = GENERATE(1U, 3U);
  std::vector<std::atomic<int>> runs(static_cast<size_t>(count));
  std::latch done{count};
  caf::actor_system_config config;
  config.set("scheduler.max-threads", workers);
  caf::actor_system system{config};
  {
    answer_batch batch{system};
    for (auto& each : runs)
      batch.exec_later(new counting_job(each, done));
    CHECK(std::all_of(runs.begin(), runs.end(), [](const auto& each) { return each == 0; }));
    // Or its end.
    if (GENERATE(true, false)) {
      batch.flush();
      batch.flush();
    }
  }
  done.wait();
  CHECK(std::all_of(runs.begin(), runs.end(), [](const auto& each) { return each == 1; }));
}

} // namespace sluice::test::answer_batch_test
