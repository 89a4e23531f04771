#pragma once

#include "actors/supervisor/supervisor.hpp"
#include "runtime/broker/broker_core.hpp"

namespace sluice {

/// Factories that spawn the actors on the files of `core`'s store. The core outlives what they spawn.
child_factories real_children(broker_core& core);

/// Closes the files of a database that `open_files` wants closed early. Thread-safe; returns at once.
void close_early(actor_registry& actors, const std::string& db);

/// Records, and tells the host, that the unfinished transaction of a killed program was rolled back. Thread-safe.
void note_recovery(broker_core& core, const std::string& db);

/// A read-only connection leaves files, which the writer removes if it has the database closed. When the files must be
/// closed early, the writer closes its own connection, too. Thread-safe; the actor system exists.
void notify_writer_of_close(database_context& context, bool is_early);

/// The actor that keeps the cursors of all databases.
cursors_actor spawn_cursors(broker_core& core);

/// The supervisor, which looks at files before it starts the actors of a database.
supervisor_actor spawn_supervisor(broker_core& core, supervisor_dependencies parts);

} // namespace sluice
