#include "actors/reader.hpp"

namespace sluice {

reader_actor::behavior_type reader(reader_actor::stateful_pointer<reader_state> self,
                                   std::shared_ptr<std::unique_ptr<read_store>> store) {
  self->state.store = std::move(*store);
  return {
    [self](const read_request& request) -> caf::result<executed_read> {
      return self->state.store->run(request, request.limits);
    },
  };
}

} // namespace sluice
