#pragma once

#include "actors/buffer/buffer_store.hpp"
#include "runtime/sqlite/buffer/buffer_file.hpp"

namespace sluice::sqlite {

/// Reads what the journal holds. What cannot be read is moved to the rejected rows. @pre a transaction is open
caf::error recover_journal(buffer_file::content& file, journal_content& to);

} // namespace sluice::sqlite
