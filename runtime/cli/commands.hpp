#pragma once

#include <CLI/CLI.hpp>

#include <functional>

/// The commands of the `sluice` program. To add one, declare it here, define it in a file of its own and add it to the
/// table in main.cpp.
namespace sluice::cli {

/// Executes the command and returns the exit status.
using action = std::function<int()>;

// Each function declares the options of one command; when the command line names it, the function sets `chosen` to its
// action.
void declare_exec(CLI::App& command, action& chosen);
void declare_query(CLI::App& command, action& chosen);
void declare_call(CLI::App& command, action& chosen);
void declare_migrate(CLI::App& command, action& chosen);
void declare_ops(CLI::App& command, action& chosen);
void declare_capsule(CLI::App& command, action& chosen);
void declare_proof(CLI::App& command, action& chosen);
void declare_promote(CLI::App& command, action& chosen);
void declare_status(CLI::App& command, action& chosen);
void declare_audit(CLI::App& command, action& chosen);
void declare_logs(CLI::App& command, action& chosen);
void declare_cancel(CLI::App& command, action& chosen);
void declare_flush(CLI::App& command, action& chosen);
void declare_buffer(CLI::App& command, action& chosen);
void declare_serve(CLI::App& command, action& chosen);
void declare_stop(CLI::App& command, action& chosen);
void declare_doctor(CLI::App& command, action& chosen);
void declare_validate(CLI::App& command, action& chosen);
void declare_top(CLI::App& command, action& chosen);
void declare_bench(CLI::App& command, action& chosen);
void declare_bench_worker(CLI::App& command, action& chosen);
void declare_bench_server(CLI::App& command, action& chosen);
void declare_scenario(CLI::App& command, action& chosen);
void declare_scenario_broker(CLI::App& command, action& chosen);
void declare_scenario_external_process(CLI::App& command, action& chosen);

} // namespace sluice::cli
