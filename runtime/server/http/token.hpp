#pragma once

#include <caf/expected.hpp>

#include <filesystem>
#include <string>

namespace sluice::http {

/// The token of HTTP clients: 64 hexadecimal digits. Read from `file`, which is made with a random
/// one (mode 0600, complete or not at all) if it does not exist; of several processes that make it at once all get the
/// same. A file that is a link, belongs to another user, may be read by others or holds something else is refused as
/// `errc::not_authorized` and left as it is.
caf::expected<std::string> load_or_make_token(const std::filesystem::path& file);

} // namespace sluice::http
