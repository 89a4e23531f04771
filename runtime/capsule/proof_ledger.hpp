#pragma once

#include "runtime/capsule/capsule_authority.hpp"
#include "runtime/capsule/promotion.hpp"
#include "runtime/capsule/proof.hpp"

#include <caf/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

/// Proofs and the ledger that they are about. These functions open the database for reading, and block.
namespace sluice {

/// The commits of a proof.
struct proof_range {
  /// The name of the database, and its file.
  std::string db;
  std::filesystem::path path;
  uint64_t first = 0;
  uint64_t last = 0;
};

/// The text of a proof of these commits, under the policy with the hash `policy`. `errc::invalid_request` when the
/// range is empty, too long, or not wholly in the current epoch of the ledger, or a capsule is not on record any more;
/// `too_large`; errors of the ledger and of the files.
caf::expected<std::string> make_proof(capsule_authority& authority, const proof_range& range,
                                      const std::string& policy);

/// Checks a proof against this store: all that `open_proof` checks, and that it is of this store (`store`), of the
/// policy with the hash `policy` (`policy`), of the current epoch of the ledger at `path` (`epoch`), that its records
/// are the ledger's (`ledger`), that each of them has a request with a capsule (`capsule`), and that no capsule was
/// revoked
/// (`revoked`). The result has no time, agent and id yet.
/// @param path finds the file of the database of the proof
caf::expected<promotion>
check_proof(capsule_authority& authority, std::string_view text, const std::string& policy,
            const std::function<caf::expected<std::filesystem::path>(const std::string&)>& path);

} // namespace sluice
