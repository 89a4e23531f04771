#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <string>

namespace sluice::http {

/// The address of an HTTP server, and the limits of its clients.
struct settings {
  /// HOST:PORT, where HOST is a loopback address or `localhost`; port 0 takes a free one.
  std::string address = "127.0.0.1:0";
  /// Clients send it as `Authorization: Bearer TOKEN`; not empty.
  std::string token{};
  /// The tokens of agents, by their names; asked for each request.
  std::function<const std::map<std::string, std::string>&()> agent_tokens{};
  /// Sent to MCP clients in the answer to `initialize`.
  std::string version{};
  /// Connections beyond this number are answered with 503.
  size_t max_connections = 4096;
  size_t max_body_bytes = size_t{16} << 20;
  /// The maximum bytes of bodies that are being received or processed, over all connections.
  size_t max_inflight_bytes = size_t{256} << 20;
  size_t max_header_bytes = size_t{16} << 10;
  /// Limits the time from the first byte of a request, or the beginning of the connection, to the end of its header.
  std::chrono::milliseconds header_timeout{10'000};
  /// Limits the time for the whole body.
  std::chrono::milliseconds body_timeout{30'000};
  /// Limits the time between two requests.
  std::chrono::milliseconds idle_timeout{60'000};
  /// Limits the time in which the client reads a whole answer.
  std::chrono::milliseconds send_timeout{30'000};
  /// Limits the time in which the client notices that the connection ends.
  std::chrono::milliseconds linger_timeout{2'000};
  /// Limits the time for requests under way after `stop`.
  std::chrono::milliseconds drain_timeout{10'000};
  /// The pause before connections are accepted again when descriptors or memory have run out.
  std::chrono::milliseconds accept_pause{100};
};

} // namespace sluice::http
