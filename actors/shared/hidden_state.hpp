#pragma once

#include <cassert>
#include <memory>
#include <utility>

namespace sluice {

/// The state of an actor whose header does not show it: `State` is complete only in the sources of the actor. Like the
/// state of a stateful actor, it lives until the actor ends.
template <class State> class hidden_state {
public:
  /// Creates the state. Call it once, first in the behavior function; until then there is none.
  template <class... Arguments> State& create(Arguments&&... arguments) {
    assert(!content_);
    name = State::name;
    content_ = std::make_shared<State>(std::forward<Arguments>(arguments)...);
    return *content_;
  }

  State* operator->() const noexcept { return content_.get(); }
  State& operator*() const noexcept { return *content_; }

  /// The actor's name in CAF's log.
  const char* name = "actor";

private:
  // Unlike a unique pointer, it can be destroyed where `State` is not complete.
  std::shared_ptr<State> content_;
};

} // namespace sluice
