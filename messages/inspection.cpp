#include "messages/inspection.hpp"

#include "messages/audit.hpp"
#include "messages/buffer.hpp"
#include "messages/cursor.hpp"
#include "messages/error.hpp"
#include "messages/invalidation.hpp"
#include "messages/ledger.hpp"
#include "messages/log.hpp"
#include "messages/migration.hpp"
#include "messages/peer_identity.hpp"
#include "messages/read.hpp"
#include "messages/rowset.hpp"
#include "messages/statement.hpp"
#include "messages/status.hpp"
#include "messages/value.hpp"
#include "messages/write.hpp"

namespace sluice {

#define SLUICE_INSTANTIATE(type) SLUICE_INSTANTIATE_INSPECT(template, type)

SLUICE_INSTANTIATE(audit_record)
SLUICE_INSTANTIATE(audit_query)
SLUICE_INSTANTIATE(audit_page)
SLUICE_INSTANTIATE(audit_prune)
SLUICE_INSTANTIATE(audit_pruned)
SLUICE_INSTANTIATE(audit_verdict)
SLUICE_INSTANTIATE(row_key)
SLUICE_INSTANTIATE(buffer_put)
SLUICE_INSTANTIATE(buffer_receipt)
SLUICE_INSTANTIATE(buffer_get)
SLUICE_INSTANTIATE(buffered_row)
SLUICE_INSTANTIATE(flush_request)
SLUICE_INSTANTIATE(flush_report)
SLUICE_INSTANTIATE(rejected_row)
SLUICE_INSTANTIATE(rejected_query)
SLUICE_INSTANTIATE(rejected_page)
SLUICE_INSTANTIATE(rejected_decision)
SLUICE_INSTANTIATE(open_cursor)
SLUICE_INSTANTIATE(next_page)
SLUICE_INSTANTIATE(close_cursor)
SLUICE_INSTANTIATE(end_cursors)
SLUICE_INSTANTIATE(cursor_page)
SLUICE_INSTANTIATE(run_page)
SLUICE_INSTANTIATE(page_done)
SLUICE_INSTANTIATE(failure)
SLUICE_INSTANTIATE(invalidation)
SLUICE_INSTANTIATE(ledger_standing)
SLUICE_INSTANTIATE(attach_report)
SLUICE_INSTANTIATE(log_entry)
SLUICE_INSTANTIATE(log_query)
SLUICE_INSTANTIATE(log_page)
SLUICE_INSTANTIATE(migration)
SLUICE_INSTANTIATE(peer_identity)
SLUICE_INSTANTIATE(read_limits)
SLUICE_INSTANTIATE(read_request)
SLUICE_INSTANTIATE(statement_rows)
SLUICE_INSTANTIATE(read_result)
SLUICE_INSTANTIATE(read_set)
SLUICE_INSTANTIATE(executed_read)
SLUICE_INSTANTIATE(run_read)
SLUICE_INSTANTIATE(read_done)
SLUICE_INSTANTIATE(rowset)
SLUICE_INSTANTIATE(sql_text)
SLUICE_INSTANTIATE(named_value)
SLUICE_INSTANTIATE(parameters)
SLUICE_INSTANTIATE(returned_value)
SLUICE_INSTANTIATE(statement_terms)
SLUICE_INSTANTIATE(statement)
SLUICE_INSTANTIATE(retry_status)
SLUICE_INSTANTIATE(database_status)
SLUICE_INSTANTIATE(cache_status)
SLUICE_INSTANTIATE(audit_status)
SLUICE_INSTANTIATE(buffered_table_status)
SLUICE_INSTANTIATE(buffer_status)
SLUICE_INSTANTIATE(log_status)
SLUICE_INSTANTIATE(running_request)
SLUICE_INSTANTIATE(slow_request)
SLUICE_INSTANTIATE(broker_status)
SLUICE_INSTANTIATE(blob)
SLUICE_INSTANTIATE(value)
SLUICE_INSTANTIATE(write_request)
SLUICE_INSTANTIATE(statement_result)
SLUICE_INSTANTIATE(write_result)

#undef SLUICE_INSTANTIATE

} // namespace sluice
