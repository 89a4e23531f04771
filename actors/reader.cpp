#include "actors/reader.hpp"

namespace sluice {

reader_actor::behavior_type reader(reader_actor::stateful_pointer<reader_state> self,
                                   std::shared_ptr<std::unique_ptr<read_store>> store) {
  self->state.store = std::move(*store);
  return {
    [self](const run_read& x) {
      read_done result;
      result.flight = x.flight;
      auto answer = self->state.store->run(x.request, x.request.limits);
      if (answer)
        result.answer = std::move(*answer);
      else
        result.error = std::move(answer.error());
      return result;
    },
  };
}

} // namespace sluice
