#pragma once

#include "messages/error.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

struct sql_file {
  std::string name;
  /// `FOLDER/NAME` for messages: in UTF-8, and without the folders above.
  std::string shown;
  std::string text;
};

/// Reads the `.sql` files in `folder`, in the order of the bytes of their names; nothing if there is no such folder.
/// Ignores folders, other files and those whose names begin with a dot. `errc::invalid_request` for a symbolic link,
/// the folder included, since it could lead anywhere, for what is no folder, and for a name that ends in `.SQL`;
/// `too_large` for a file of more than `max_bytes`; `io_error` if the system refuses to read one. Safe from any thread.
caf::expected<std::optional<std::vector<sql_file>>> read_sql_folder(const std::filesystem::path& folder,
                                                                    uint64_t max_bytes, errc too_large);

} // namespace sluice
