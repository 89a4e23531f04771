#pragma once

#include <caf/execution_unit.hpp>
#include <caf/fwd.hpp>

#include <vector>

namespace sluice {

/// Collects the actors of the host that become ready while a thread of the pool runs an actor of ours, and hands them
/// to the host's scheduler together: CAF takes a worker's lock and wakes it for each job that comes from outside, which
/// costs more than most answers. The jobs of a batch come as one to each worker that is to have some, and are spread
/// there, without locks; workers that have none steal from the others as ever.
///
/// Belongs to one thread. What it still has is handed over when it is destroyed.
class answer_batch final : public caf::execution_unit {
public:
  explicit answer_batch(caf::actor_system& system);
  answer_batch(const answer_batch&) = delete;
  answer_batch& operator=(const answer_batch&) = delete;
  ~answer_batch() override;

  void exec_later(caf::resumable* job) override;

  /// Hands over what there is. To be called soon after each message that may have answered somebody.
  void flush();

private:
  std::vector<caf::resumable*> jobs_;
};

} // namespace sluice
