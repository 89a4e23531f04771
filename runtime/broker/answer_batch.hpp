#pragma once

#include <caf/execution_unit.hpp>
#include <caf/fwd.hpp>

#include <vector>

namespace sluice {

/// Collects the actors of the host that become ready while a thread of the pool runs an actor of the broker, and passes
/// them to the host's scheduler together: for each job from outside, CAF takes a worker's lock and wakes it, which
/// costs more than most answers. Each worker that gets jobs of a batch gets them as one, and spreads them there without
/// locks; idle workers steal as usual.
///
/// Belongs to one thread. Its destructor passes on the remaining jobs.
class answer_batch final : public caf::execution_unit {
public:
  explicit answer_batch(caf::actor_system& system);
  answer_batch(const answer_batch&) = delete;
  answer_batch& operator=(const answer_batch&) = delete;
  ~answer_batch() override;

  void exec_later(caf::resumable* job) override;

  /// Passes on the collected jobs. Call it soon after each message that may have caused an answer.
  void flush();

private:
  std::vector<caf::resumable*> jobs_;
};

} // namespace sluice
