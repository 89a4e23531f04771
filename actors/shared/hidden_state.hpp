#pragma once

#include <cassert>
#include <memory>
#include <utility>

namespace sluice {

/// The state of an actor whose header does not show it: `State` is complete only in the sources of the actor. Like the
/// state of a stateful actor, it lives until the actor ends.
template <class State> class hidden_state {
public:
  /// Creates the state. Call it exactly once, as the first statement of the behavior function, before any other member.
  template <class... Arguments> State& create(Arguments&&... arguments) {
    assert(!state_);
    name = State::name;
    state_ = std::make_shared<State>(std::forward<Arguments>(arguments)...);
    return *state_;
  }

  State* operator->() const noexcept { return state_.get(); }
  State& operator*() const noexcept { return *state_; }

  /// The actor's name in CAF's log.
  const char* name = "actor";

private:
  // Unlike a unique pointer, it can be destroyed where `State` is not complete.
  std::shared_ptr<State> state_;
};

} // namespace sluice
