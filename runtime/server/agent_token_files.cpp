#include "runtime/server/agent_token_files.hpp"

#include "runtime/os/secret_file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <sys/stat.h>
#include <system_error>
#include <utility>

namespace sluice {

caf::expected<void> agent_token_files::load(const access_policy& policy) {
  if (hash_ == policy.hash())
    return caf::unit;
  hash_ = policy.hash();
  tokens_.clear();
  caf::error first;
  for (const auto& rule : policy.rules().agents) {
    if (rule.token.empty() || tokens_.contains(rule.token))
      continue;
    if (mkdir(folder_.c_str(), S_IRWXU) != 0 && errno != EEXIST)
      return make_error(errc::io_error,
                        "the folder of agents' tokens cannot be made: " + std::generic_category().message(errno));
    auto secret = load_or_make_secret(folder_ / rule.token, fmt::format("token file '{}'", rule.token));
    if (secret)
      tokens_.emplace(rule.token, std::move(*secret));
    else if (!first)
      first = std::move(secret.error());
  }
  if (first)
    return first;
  return caf::unit;
}

} // namespace sluice
