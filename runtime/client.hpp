#pragma once

#include "messages/audit.hpp"
#include "messages/read.hpp"
#include "messages/write.hpp"
#include "runtime/store_status.hpp"

#include <caf/expected.hpp>

#include <filesystem>
#include <memory>

namespace sluice {

/// A way to one store, whoever leads it: a broker in this process or in another. Requests name their database relative
/// to the store root. Every call waits for its answer; every failure is a sluice error (`describe` reads it). Used by
/// one thread at a time.
class client {
public:
  virtual ~client() = default;

  virtual caf::expected<write_result> write(write_request request) = 0;
  virtual caf::expected<read_result> read(read_request request) = 0;
  virtual caf::expected<audit_page> audit(const audit_query& query) = 0;
  virtual caf::expected<audit_verdict> verify_audit() = 0;
  virtual caf::expected<store_status> status() = 0;
};

/// A way to the store `root`. There is one so far: to lead the store in this process, under its lock, configured by
/// `load_config(root)`, until the client is destroyed, which drains, checkpoints and closes. `errc::busy` when another
/// process leads the store and goes on doing so for `lock_wait`; else what `load_config` and `broker::open` report.
caf::expected<std::unique_ptr<client>> open_client(const std::filesystem::path& root);

} // namespace sluice
