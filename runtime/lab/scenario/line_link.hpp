#pragma once

#include "runtime/client/line_buffer.hpp"
#include "runtime/os/descriptor.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace sluice::scenario {

/// For a wait until the other side ends.
inline constexpr std::chrono::hours no_limit{24};

/// JSON documents, one per line, to and from a process that helps with a scenario. One thread at a time.
class line_link {
public:
  line_link() = default;
  line_link(descriptor in, descriptor out) : in_(std::move(in)), out_(std::move(out)) {}

  explicit operator bool() const noexcept { return static_cast<bool>(in_); }

  /// False when the other side has ended.
  bool send(const nlohmann::json& document);

  /// The next document; nothing at the end, at invalid JSON, when `limit` has passed, or when `stop` becomes readable.
  /// @param stop a descriptor, or -1
  std::optional<nlohmann::json> receive(std::chrono::milliseconds limit, int stop = -1);

  /// Sends a command, and returns the answer: `{"result": ...}` or `{"error": {"code", "message"}}`. `unavailable` when
  /// the other side has ended, `internal` when it does not answer.
  caf::expected<nlohmann::json> ask(const nlohmann::json& command, std::chrono::milliseconds limit);

  /// Whether the other side ends within the time. Its output until then is dropped.
  bool ends_within(std::chrono::milliseconds limit);

  void close() {
    in_.reset();
    out_.reset();
  }

private:
  descriptor in_;
  // Negative if it is the same as for input.
  descriptor out_;
  std::shared_ptr<line_buffer> unread_ = std::make_shared<line_buffer>();
};

/// The answer to a command in the form of a `line_link`.
nlohmann::json answer_document(const caf::expected<nlohmann::json>& answer);

/// A process with a `line_link` to its stdin and from its stdout. The destructor kills it and waits for its end.
class helper_process {
public:
  helper_process() = default;
  helper_process(helper_process&& other) noexcept : link(std::move(other.link)), pid_(std::exchange(other.pid_, -1)) {}
  helper_process& operator=(helper_process&& other) noexcept {
    end();
    link = std::move(other.link);
    pid_ = std::exchange(other.pid_, -1);
    return *this;
  }
  ~helper_process() { end(); }

  /// `errc::unavailable` when it cannot be started.
  static caf::expected<helper_process> start(const std::vector<std::string>& command);

  void end();

  line_link link;

private:
  pid_t pid_ = -1;
};

/// A socket in the file system that helper processes connect to.
class control_socket {
public:
  /// `errc::io_error`, or `invalid_request` when the path is too long for a socket.
  static caf::expected<control_socket> open(const std::filesystem::path& path);

  /// The next process that has connected; empty when there is none now. @param pid set to that process
  line_link accept(pid_t& pid);

  /// Connects to a socket that `open` has created.
  static caf::expected<line_link> connect(const std::filesystem::path& path);

private:
  descriptor socket_;
};

} // namespace sluice::scenario
