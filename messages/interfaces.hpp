#pragma once

#include "messages/audit.hpp"
#include "messages/buffer.hpp"
#include "messages/cursor.hpp"
#include "messages/invalidation.hpp"
#include "messages/ledger.hpp"
#include "messages/log.hpp"
#include "messages/read.hpp"
#include "messages/status.hpp"
#include "messages/write.hpp"

#include <caf/all.hpp>

#include <string>
#include <vector>

namespace sluice {

using verify_atom = caf::atom_constant<caf::atom("verify")>;
using attach_atom = caf::atom_constant<caf::atom("attach")>;
using cancel_atom = caf::atom_constant<caf::atom("cancel")>;
using drain_atom = caf::atom_constant<caf::atom("drain")>;
using running_atom = caf::atom_constant<caf::atom("running")>;
using retry_atom = caf::atom_constant<caf::atom("retry")>;
using find_atom = caf::atom_constant<caf::atom("find")>;
using close_idle_atom = caf::atom_constant<caf::atom("close_idle")>;
using checkpoint_atom = caf::atom_constant<caf::atom("checkpoint")>;
using quiesce_atom = caf::atom_constant<caf::atom("quiesce")>;
using resume_atom = caf::atom_constant<caf::atom("resume")>;
using agree_atom = caf::atom_constant<caf::atom("agree")>;
using prune_atom = caf::atom_constant<caf::atom("prune")>;

/// The one actor that writes to a database. Agents reach it through `database::write`, which bounds its queue.
using writer_actor = caf::typed_actor<
  // Executes a write in mailbox order; answers after the COMMIT that made it durable.
  caf::replies_to<write_request>::with<write_result>,
  // Ends the group with this number; the writer sends it to itself, after everything that is already queued.
  caf::reacts_to<caf::flush_atom, uint64_t>,
  // Retries a lock that an external process held.
  caf::reacts_to<retry_atom>,
  // Refuses the requests whose deadline passed while an external process held the lock.
  caf::reacts_to<caf::timeout_atom>,
  // Serves the agents with waiting requests by turns; the writer sends it to itself.
  caf::reacts_to<caf::tick_atom>,
  // Does idle work (truncates the WAL, prunes old keys) unless a write came after the group with this number.
  caf::reacts_to<caf::idle_atom, uint64_t>,
  // Closes the file, which the next write opens again, unless a write came after the group with this number. If the
  // file is not open, removes the files that readers left; readers send this with 0.
  caf::reacts_to<close_idle_atom, uint64_t>,
  // Checkpoints the WAL if it has grown; the writer sends it to itself after a group of short requests.
  caf::reacts_to<checkpoint_atom>,
  // Removes some commit records that are older than the retention; the writer sends it to itself.
  caf::reacts_to<prune_atom>,
  // Checks for an external commit; counts and audits it.
  caf::reacts_to<verify_atom>,
  // Commits what is queued, checkpoints and ends; answers when the file is closed.
  caf::replies_to<caf::close_atom>::with<caf::ok_atom>>;

/// Runs queries on a read-only connection of its own, one after the other.
using reader_actor = caf::typed_actor<
  // Answers with the rows and with what the statement reads, or with the error. Sent without awaiting the answer, which
  // comes as a message of its own.
  caf::replies_to<run_read>::with<read_done>,
  // Closes the connection, which the next query opens again, unless it was used recently; the reader sends it to
  // itself.
  caf::reacts_to<close_idle_atom>>;

/// A listener to commits; see `database::listen`.
using invalidation_listener = caf::typed_actor<
  // Notifies of a commit, or of changes that belong to no commit of the broker.
  caf::reacts_to<invalidation>>;

/// Joins identical reads, hands the others to idle readers, and keeps the cached answers.
using cache_actor = caf::typed_actor<
  // Answers from the database, or together with an identical read under way.
  caf::replies_to<read_request>::with<read_result>,
  // Cancels every waiting or running read with this request id; true when there was one. Its caller gets `cancelled`;
  // callers that share its query still get their answer.
  caf::replies_to<cancel_atom, std::string>::with<bool>,
  // Lists the waiting and running reads.
  caf::replies_to<running_atom>::with<std::vector<running_request>>,
  // The broker ends: ends every read after that many milliseconds from now.
  caf::reacts_to<drain_atom, uint64_t>,
  // Answers the reads whose time-out has passed; the cache sends it to itself.
  caf::reacts_to<caf::timeout_atom>,
  // Delivers the result of a reader, and gives it the next query.
  caf::reacts_to<read_done>,
  // Retries the reads that found their database locked by an external process; the cache sends it to itself.
  caf::reacts_to<retry_atom>,
  // From the writer of the named database, whose WAL can only restart without readers: starts no further read there.
  // Answers true as soon as no read runs, false when that takes more than that many milliseconds.
  caf::replies_to<quiesce_atom, std::string, uint64_t>::with<bool>,
  // Starts reads of the named database again.
  caf::reacts_to<resume_atom, std::string>,
  // Removes the entries that a commit invalidated.
  caf::reacts_to<invalidation>,
  // Takes a reader into the pool of the named database.
  caf::reacts_to<caf::join_atom, std::string, reader_actor>,
  // Removes expired entries and sends the audit the reads and hits since the last time; the cache sends it to itself.
  caf::reacts_to<caf::tick_atom>,
  // Ends the running reads, sends the remaining records to the audit, and ends.
  caf::replies_to<caf::close_atom>::with<caf::ok_atom>>;

/// Reads for one cursor, on a connection of its own.
using cursor_reader_actor = caf::typed_actor<
  // Answers with the next page, or with the error. Sent without awaiting the answer, which comes as a message of its
  // own.
  caf::replies_to<run_page>::with<page_done>,
  // Closes its connection and ends.
  caf::reacts_to<caf::close_atom>>;

/// Manages the cursors of all databases: their number per agent, the threads for their pages, and their end.
using cursors_actor = caf::typed_actor<
  // Opens a cursor and answers with its first page.
  caf::replies_to<open_cursor>::with<cursor_page>,
  // Answers with the next page of a cursor. Any error but `overloaded` ends it.
  caf::replies_to<next_page>::with<cursor_page>,
  // Ends a cursor; true when there was one.
  caf::replies_to<close_cursor>::with<bool>,
  // Ends the cursors of a database.
  caf::reacts_to<end_cursors>,
  // Delivers the page that a reader has made.
  caf::reacts_to<page_done>,
  // Ends the cursors whose time-out has passed or whose clients have cancelled them; the actor also sends it to itself.
  caf::reacts_to<caf::tick_atom>,
  // The broker ends: opens no further cursor, and ends the open ones after their current page.
  caf::reacts_to<drain_atom>,
  // Lists the open cursors.
  caf::replies_to<running_atom>::with<std::vector<running_request>>,
  // Ends all cursors and itself; answers when their connections are closed.
  caf::replies_to<caf::close_atom>::with<caf::ok_atom>>;

/// Records the requests of all agents, which it receives through a queue (`audit_queue`).
using audit_actor = caf::typed_actor<
  // Adds the commits that the named database's ledger has and the audit lacks; answers with the audit's knowledge of
  // it.
  caf::replies_to<attach_atom, std::string>::with<attach_report>,
  // Answers with the commit up to which the audit has everything in the named database's ledger, at most the commit
  // with this number; the records up to that commit are in the queue.
  caf::replies_to<agree_atom, std::string, uint64_t>::with<uint64_t>,
  // Lists records, including those still in memory.
  caf::replies_to<audit_query>::with<audit_page>,
  // Recomputes the whole chain.
  caf::replies_to<verify_atom>::with<audit_verdict>,
  // Removes old records.
  caf::replies_to<audit_prune>::with<audit_pruned>,
  // Writes what is in the queue.
  caf::reacts_to<caf::flush_atom>,
  // Tries again to write the records that the file has refused; the audit sends it to itself.
  caf::reacts_to<retry_atom>,
  // Writes what is in the queue and ends.
  caf::replies_to<caf::close_atom>::with<caf::ok_atom>>;

/// Keeps rows of background work in memory and has them written in batches: after an interval, at a number of rows, or
/// on request.
using buffer_actor = caf::typed_actor<
  // Takes an operation; answers when it is in memory and, with a journal, on disk. Refuses an unknown table and columns
  // that are not a key. When the buffer is nearly full, it is `overloaded` unless the caller waits.
  caf::replies_to<buffer_put>::with<buffer_receipt>,
  // Answers with the row as it will be: the stored row with the pending operations applied.
  caf::replies_to<buffer_get>::with<buffered_row>,
  // Writes all pending rows, or those of one database or table; answers when each row is written, rejected, or could
  // not be written this time.
  caf::replies_to<flush_request>::with<flush_report>,
  // Lists the rows that the database refused.
  caf::replies_to<rejected_query>::with<rejected_page>,
  // Puts such rows back into the buffer, or deletes them; answers with their number.
  caf::replies_to<rejected_decision>::with<uint64_t>,
  // From the writer of the named database, which is about to change a schema: has everything pending for the database
  // written, answers as for a flush, and takes no operation for it until the writer sends `resume` or ends.
  caf::replies_to<quiesce_atom, std::string>::with<flush_report>,
  // The schema change is over: takes operations for the database again.
  caf::reacts_to<resume_atom, std::string>,
  // Drops cached schemas that may have changed.
  caf::reacts_to<invalidation>,
  // Has the tables written that are due; the buffer sends it to itself.
  caf::reacts_to<caf::tick_atom>,
  // Takes no further operation, has everything written, and ends.
  caf::replies_to<caf::close_atom>::with<caf::ok_atom>>;

/// Writes the log database. Entries arrive through a `log_queue`, which drops entries rather than block, not as
/// messages.
using log_actor = caf::typed_actor<
  // Writes what is in the queue.
  caf::reacts_to<caf::flush_atom>,
  // Removes expired entries; the log sends it to itself.
  caf::reacts_to<caf::tick_atom>,
  // Lists entries, including those still in the queue.
  caf::replies_to<log_query>::with<log_page>,
  // Writes what is in the queue and ends.
  caf::replies_to<caf::close_atom>::with<caf::ok_atom>>;

/// Answers writes whose deadline passes while their writer is busy.
using deadline_watch_actor = caf::typed_actor<
  // Checks the queue of the named database; the watch sends it to itself for the next time.
  caf::reacts_to<caf::tick_atom, std::string>>;

/// Spawns the other actors, monitors them and restarts each that fails (one for one).
using supervisor_actor = caf::typed_actor<
  // Opens the named database: audit reconciled, writer and a reader running. Its first write creates the file.
  caf::replies_to<caf::open_atom, std::string>::with<caf::ok_atom>,
  // Does the same for a database whose file exists; `unknown_database` for any other, which leaves no state.
  caf::replies_to<find_atom, std::string>::with<caf::ok_atom>,
  // Answers when the actors that all databases share are running.
  caf::replies_to<caf::ping_atom>::with<caf::pong_atom>,
  // Completes the audit of the named database from its ledger, without opening it for requests.
  caf::reacts_to<attach_atom, std::string>,
  // Starts actors that could not be restarted at once because they had failed too often.
  caf::reacts_to<caf::tick_atom>,
  // Adds a reader to the named database's pool, up to the configured number; starts what could not be started before.
  caf::reacts_to<caf::spawn_atom, std::string>,
  // Ends the actors of the named database after the requests under way, and closes its files.
  caf::replies_to<caf::close_atom, std::string>::with<caf::ok_atom>,
  // Ends everything in order: writers drained, audit written, files closed.
  caf::replies_to<caf::close_atom>::with<caf::ok_atom>>;

/// Registers every payload type, so that messages can travel between nodes and be printed. Call it on the
/// configuration of an actor system that sluice is to live in.
void add_message_types(caf::actor_system_config& cfg);

} // namespace sluice
