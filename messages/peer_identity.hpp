#pragma once

#include <caf/meta/type_name.hpp>

#include <cstdint>

namespace sluice {

/// The process at the other end of a socket; zero for callers inside this process.
struct peer_identity {
  uint32_t uid = 0;
  uint32_t pid = 0;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, peer_identity& x) {
  return f(caf::meta::type_name("peer_identity"), x.uid, x.pid);
}

} // namespace sluice
