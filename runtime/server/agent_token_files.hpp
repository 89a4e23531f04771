#pragma once

#include "runtime/policy/access_policy.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <map>
#include <string>

namespace sluice {

/// The bearer tokens of the agents that a policy names: secrets in `.sluice/tokens/NAME`, made (mode 0600) when they
/// are first needed. Not synchronized.
class agent_token_files {
public:
  /// @param folder `.sluice` of the store
  explicit agent_token_files(std::filesystem::path folder) : folder_(std::move(folder) / "tokens") {}

  /// Reads the tokens of `policy`, unless they are those of its hash already. Those that cannot be read are left out,
  /// and the first error is returned: `errc::not_authorized` for a file that others can read.
  caf::expected<void> load(const access_policy& policy);

  const std::map<std::string, std::string>& by_name() const noexcept { return tokens_; }

private:
  std::filesystem::path folder_;
  std::string hash_;
  std::map<std::string, std::string> tokens_;
};

} // namespace sluice
