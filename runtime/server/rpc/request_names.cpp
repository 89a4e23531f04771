#include "runtime/server/rpc/request_names.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <utility>

namespace sluice::rpc {

namespace {

// Longer than any valid name.
constexpr size_t longest_name = 1'024;

} // namespace

void read_names(const nlohmann::json& params, unrecorded_request& to) {
  if (!params.is_object())
    return;
  // Where there is a caller, the agent selects records.
  for (auto [member, text] : {std::pair{"agent", &to.agent}, std::pair{"caller", &to.agent}, std::pair{"db", &to.db},
                              std::pair{"request_id", &to.request_id}, std::pair{"correlation_id", &to.correlation_id}})
    if (auto at = params.find(member); at != params.end())
      if (const auto* found = at->get_ptr<const std::string*>(); found && found->size() <= longest_name)
        *text = *found;
}

} // namespace sluice::rpc
