#pragma once

#include <caf/meta/type_name.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sluice {

/// Names of tables, shared between everyone who needs to know what a commit touched.
using table_set = std::shared_ptr<const std::vector<std::string>>;

/// Tells the cache actor which tables a commit touched. The version stamps have already made the old entries
/// unusable; this message makes them gone.
struct invalidation {
  std::string db;
  uint64_t commit_seq = 0;
  std::vector<std::string> tables;
  /// The schema changed or a foreign process committed: every entry of the database goes.
  bool everything = false;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, invalidation& x) {
  return f(caf::meta::type_name("invalidation"), x.db, x.commit_seq, x.tables, x.everything);
}

} // namespace sluice
