#pragma once

#include "messages/audit.hpp"
#include "tests/simulation/files.hpp"
#include "tests/simulation/history.hpp"

#include <optional>
#include <vector>

namespace sluice::simulation {

/// Checks that the content of one database, and the answers of clients, agree with a model that executes the ledger's
/// requests in their order.
std::optional<violation> check_database(const history& seen, uint32_t db, const database_content& found);

/// Checks that every commit and every answer has its audit record.
std::optional<violation> check_audit(const settings& set, const history& seen, uint32_t db,
                                     const database_content& found, const std::vector<audit_record>& records,
                                     const audit_verdict& chain);

/// Checks that the buffered rows equal the result of their operations.
std::optional<violation> check_buffer(const settings& set, const history& seen, uint32_t db,
                                      const database_content& found);

} // namespace sluice::simulation
