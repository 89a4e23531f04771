#pragma once

#include "actors/buffer/buffer_store.hpp"
#include "runtime/sqlite/buffer/buffer_file.hpp"

namespace sluice::sqlite {

/// Reads the journal. Records that cannot be read are moved to the rejected rows. @pre a transaction is open
caf::error recover_journal(buffer_file::content& file, journal_content& to);

} // namespace sluice::sqlite
