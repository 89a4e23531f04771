#pragma once

#include "messages/error.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string_view>

/// The output of the program: results on stdout, everything else on stderr.
namespace sluice::cli {

/// The exit statuses that the documentation specifies.
enum exit_status : int { done = 0, failed = 1, wrong_usage = 2, no_broker = 3, incomplete = 4 };

enum class delivery : uint8_t { complete, reader_gone, failed };

/// Whether stdout is a terminal, which would interpret control characters.
bool is_read_by_terminal() noexcept;

/// Writes to stdout at once; reports a failure on stderr, unless the reader of the output has closed it. For a terminal
/// it escapes control characters except line feeds; other outputs get the bytes unchanged.
delivery print(std::string_view text);

/// As `print`, for lines of JSON: escaping does not change the documents.
delivery print_json(std::string_view documents);

/// Prints the text unchanged: for output that contains control sequences of this program.
delivery print_raw(std::string_view text);

/// The exit status of a command that succeeded and printed its output; a reader that has closed the output is not a
/// failure.
int status_of(delivery end) noexcept;

/// Prints a command's whole result and returns the exit status.
int finish(std::string_view text);

/// `finish` with one JSON document.
int finish_json(const nlohmann::json& document);

/// The exit status of a command whose output ended with `status` and was truncated by a bound; prints `cut` on stderr:
/// the missing part, and how to get it.
int finish_cut(int status, std::string_view cut);

/// A remark for people, on stderr.
void note(std::string_view text);

/// Prints `sluice: CODE: message` on stderr and, with `json`, the error document on stdout. Returns the exit status.
int fail(const failure& error, bool json);
int fail(const caf::error& error, bool json);

/// As `fail`, for an invalid command line (exit status 2).
int usage_error(std::string_view message, bool json);

} // namespace sluice::cli
