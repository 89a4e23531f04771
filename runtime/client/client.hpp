#pragma once

#include "messages/audit.hpp"
#include "messages/read.hpp"
#include "messages/write.hpp"
#include "runtime/broker/cursor.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>

namespace sluice {

/// A client of one store, which another process or this one leads. Requests name their database relative to the store
/// root. Every failure is a sluice error (`describe` reads it). Thread-safe; calls of several threads do not wait for
/// each other.
///
/// When the leader dies, calls find or start the next one and are repeated until they have an answer or their deadline
/// has passed. A write has an idempotency key, which the library adds if the caller gave none, so it is applied once
/// however often it was sent. The outcome is `outcome::unknown` only if the deadline passed before a leader could be
/// queried.
class client {
public:
  virtual ~client() = default;

  /// Wait for the answer. When the request's `cancel` is cancelled meanwhile, the request ends with `errc::cancelled`;
  /// a write that is being committed is answered as usual.
  virtual caf::expected<write_result> write(write_request request) = 0;
  virtual caf::expected<read_result> read(read_request request) = 0;

  /// Return at once; any number of calls may be under way. The futures do not block when destroyed. `cancel` as above.
  virtual std::future<caf::expected<write_result>> write_async(write_request request) = 0;
  virtual std::future<caf::expected<read_result>> read_async(read_request request) = 0;

  /// Reads an answer of any size, page by page, as `database::open_cursor`; waits for the first page. The client
  /// outlives the cursor. When the leader dies the cursor ends with it: `errc::unavailable` at the next page, since no
  /// other broker has its snapshot. When `request.cancel` is cancelled the page that is waited for ends with
  /// `errc::cancelled`, and the cursor with it.
  virtual caf::expected<std::unique_ptr<cursor>> open_cursor(read_request request) = 0;

  virtual caf::expected<audit_page> audit(const audit_query& query) = 0;
  virtual caf::expected<audit_verdict> verify_audit() = 0;

  /// The status of the store, as docs/reference/protocol.md describes it.
  virtual caf::expected<nlohmann::json> status() = 0;

  /// Calls any method of the protocol, for bridges: returns its result, or the failure. Waits for the answer. `params`
  /// is an object; text in it, and the method, is UTF-8 (other bytes are values: `{"$text":"BASE64"}`), else
  /// `errc::invalid_request`.
  virtual caf::expected<nlohmann::json> call(std::string_view method, nlohmann::json params) = 0;

  /// Cancels all requests under way, and refuses later ones: reads, and writes that have not begun, end with
  /// `errc::cancelled`; a write that was sent to another process has the outcome `unknown`.
  virtual void close() = 0;
};

struct client_options {
  /// The socket to talk to, instead of the root's; nothing is started or led then. SLUICE_ENDPOINT if empty.
  std::filesystem::path endpoint{};
  /// Whether to start a broker when there is none. If not, this process leads the store as long as the client lives.
  bool start_broker = true;
  /// The `sluice` program that is started as the broker: SLUICE_PROGRAM if empty, else this program if it is `sluice`,
  /// else the one in PATH.
  std::filesystem::path program{};
  /// `errc::route_required` instead of leading in this process.
  bool require_broker = false;
  /// Adds a key to writes without one. Without it, a write whose answer was lost has the outcome `unknown`.
  bool add_keys = true;
  /// Whether another process may have sent a write before, under its present key: a refusal from before the leader has
  /// searched its ledger then leaves the outcome unknown.
  bool continues_write = false;
  /// A broker that is connected and has sent nothing for this time, not even the answer to a `ping`, is silent. At
  /// least 2 ms.
  std::chrono::milliseconds silence_after{2'000};
  /// Whether a call ends with `errc::unavailable` when the broker is silent. If not, `warn` is called, and the call
  /// waits until its deadline.
  bool fail_on_silence = false;
  /// Whether a mistake in `sluice.toml` is an error. If not, a running broker is reached with the default times, and
  /// only a client that would have to lead the store itself fails.
  bool needs_valid_config = true;
  /// Called with a message for people when the client has to work in this process, or without the endpoint given, or
  /// when the broker is silent. Called by the thread that opens the client, or that looks for a leader or waits for an
  /// answer later.
  std::function<void(std::string_view)> warn{};
};

/// Opens a client of the store `root`, in this order: at the given endpoint; at the socket of the broker that leads; at
/// a transient broker that it starts, which ends when it is idle; and if none of these is possible, in this process,
/// under the same lock, with a warning. `errc::busy` when another process leads the store without a socket for longer
/// than `lock_wait`, and at once when this process does; else what `load_config` and `broker::open` report. It waits
/// for no answer, so calls, not `open_client`, fail with `protocol_mismatch` if a permanent leader has another version.
///
/// Calls under way end with the client: `errc::cancelled`, for a write that was sent with the outcome `unknown`. A
/// client does not work in a forked child.
caf::expected<std::unique_ptr<client>> open_client(const std::filesystem::path& root, client_options options = {});

} // namespace sluice
