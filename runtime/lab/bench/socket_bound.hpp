#pragma once

#include "runtime/lab/bench/server_process.hpp"
#include "runtime/store/config.hpp"

#include <cstdint>
#include <filesystem>

/// An upper bound for a broker over a Unix socket: one thread with epoll that calls SQLite itself, a group of all
/// requests that can be read at the moment, one commit record per COMMIT. No parsing, no audit, no keys, no checks.
/// Requests and answers have the average sizes of sluice's.
namespace sluice::bench {

/// Serves on a socket in `root`; the commands on stdin are those of `run_server`.
int serve_socket_bound(synchronous_mode mode, const std::filesystem::path& root);

/// A client of the socket bound. Used by one thread. Errors of the connection are exceptions.
class socket_bound_client {
public:
  explicit socket_bound_client(const std::filesystem::path& root);
  socket_bound_client(const socket_bound_client&) = delete;
  socket_bound_client& operator=(const socket_bound_client&) = delete;
  ~socket_bound_client();

  /// Writes one row and waits for the COMMIT. False for an error.
  bool write_row();

  /// Requests one row. The server's thread reads it from the database, or answers without a read, as a cache would.
  bool read_row(int64_t id);
  bool read_cached();

private:
  bool ask(uint64_t kind, int64_t id);

  int socket_ = -1;
};

} // namespace sluice::bench
