#pragma once

#include "messages/fields.hpp"
#include "messages/inspection.hpp"

#include <cstdint>

namespace sluice {

/// The process at the other end of a socket; zero for callers inside this process.
struct peer_identity {
  uint32_t uid = 0;
  uint32_t pid = 0;
};

template <>
inline constexpr auto fields_of<peer_identity> = list_fields("peer_identity", named_field{"uid", &peer_identity::uid},
                                                             named_field{"pid", &peer_identity::pid});
SLUICE_DECLARE_INSPECT(peer_identity)

} // namespace sluice
