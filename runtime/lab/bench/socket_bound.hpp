#pragma once

#include "runtime/lab/bench/server_process.hpp"
#include "runtime/store/config.hpp"

#include <cstdint>
#include <filesystem>

/// What a broker over a Unix socket can reach at best on a machine: one thread, epoll, SQLite called in that thread, a
/// group is what can be read at the moment, one commit record per COMMIT. No parsing, no audit, no keys, no checks.
/// Requests and answers have the sizes of ours.
namespace sluice::bench {

/// Serves on a socket in `root`; the commands on stdin are those of `run_server`.
int serve_socket_bound(synchronous_mode mode, const std::filesystem::path& root);

/// A connection to it, of one thread. Errors of the connection are exceptions.
class socket_bound_client {
public:
  explicit socket_bound_client(const std::filesystem::path& root);
  socket_bound_client(const socket_bound_client&) = delete;
  socket_bound_client& operator=(const socket_bound_client&) = delete;
  ~socket_bound_client();

  /// One row; waits for the COMMIT. False for an error.
  bool write_row();

  /// One row, by a point read in the server's thread; or, as if it were cached, without one.
  bool read_row(int64_t id);
  bool read_cached();

private:
  bool ask(uint64_t kind, int64_t id);

  int socket_ = -1;
};

} // namespace sluice::bench
