#include "actors/cursors/cursor_reader.hpp"

#include <utility>

namespace sluice {

cursor_reader_actor::behavior_type cursor_reader(cursor_reader_actor::stateful_pointer<cursor_reader_state> self,
                                                 std::shared_ptr<cursor_reader_dependencies> parts) {
  self->state.parts = std::move(*parts);
  return {
    [self](const run_page& page) {
      page_done done;
      done.page.cursor = page.cursor;
      auto rows = self->state.parts.store->next(page.limits, page.cancel);
      if (!rows) {
        done.error = std::move(rows.error());
        return done;
      }
      done.page.rows = std::move(rows->rows);
      done.page.is_last = rows->is_last;
      return done;
    },
    [self](caf::close_atom) {
      auto& dependencies = self->state.parts;
      dependencies.store.reset();
      if (dependencies.on_closed)
        dependencies.on_closed();
      self->quit();
    },
  };
}

} // namespace sluice
