#pragma once

#include "runtime/lab/bench/bench_case.hpp"
#include "runtime/lab/bench/server_process.hpp"
#include "runtime/lab/bench/worker.hpp"

namespace sluice::bench {

/// `processes` concurrent processes that do `task` through the socket of a server in a process of its own.
contender through_socket(std::string name, server_kind server, work task, size_t processes);

/// As `through_socket`, without a server.
contender without_server(std::string name, work task, size_t processes);

} // namespace sluice::bench
