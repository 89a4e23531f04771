#pragma once

#include "messages/error.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string_view>

/// What the program says: results on stdout, everything else on stderr.
namespace sluice::cli {

/// Exit statuses of the outside contract.
enum exit_status : int { done = 0, failed = 1, wrong_usage = 2, no_broker = 3 };

enum class delivery : uint8_t { complete, reader_gone, failed };

/// Writes to stdout at once; says on stderr if stdout does not take it, but not if its reader has gone.
delivery print(std::string_view text);

/// The exit status of a command that did its work and printed it: a reader who has seen enough is no failure.
int status_of(delivery x) noexcept;

/// Prints a command's whole result and returns the exit status.
int finish(std::string_view text);

/// `finish` with one JSON document.
int finish_json(const nlohmann::json& document);

/// A remark for people, on stderr.
void note(std::string_view text);

/// Says `sluice: CODE: message` on stderr and, with `json`, the error document on stdout. Returns the exit status.
int fail(const failure& why, bool json);
int fail(const caf::error& why, bool json);

/// The same for a command line that cannot be read.
int usage_error(std::string_view message, bool json);

} // namespace sluice::cli
