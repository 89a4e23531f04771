#pragma once

#include <cassert>
#include <memory>
#include <utility>

namespace sluice {

/// The state of an actor whose header does not show it: `State` is complete in the sources of the actor only. It lives
/// as long as the state of a stateful actor does, until the actor ends.
template <class State> class hidden_state {
public:
  /// Makes the state. To be called once, first thing in the behavior function; until then there is none.
  template <class... Arguments> State& create(Arguments&&... arguments) {
    assert(!content_);
    name = State::name;
    content_ = std::make_shared<State>(std::forward<Arguments>(arguments)...);
    return *content_;
  }

  State* operator->() const noexcept { return content_.get(); }
  State& operator*() const noexcept { return *content_; }

  /// What CAF calls the actor in its log.
  const char* name = "actor";

private:
  // Unlike a unique pointer, it can be destroyed where `State` is not complete.
  std::shared_ptr<State> content_;
};

} // namespace sluice
