#pragma once

#include "runtime/sqlite/core/connection.hpp"

#include <caf/expected.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace sluice::sqlite {

/// The first column of each row of `sql`, a query without parameters, as text.
caf::expected<std::vector<std::string>> read_text_column(const connection& db, std::string_view sql);

} // namespace sluice::sqlite
