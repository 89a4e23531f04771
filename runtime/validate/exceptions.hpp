#pragma once

#include <caf/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::validate {

enum class exception_kind : uint8_t { path, process };

/// What may open SQLite, and why.
struct exception {
  exception_kind kind = exception_kind::path;
  /// As in fnmatch(3), where `*` stands for `/` too. For paths relative to the folder that is validated; one that
  /// matches a folder holds for everything in it. For processes compared with the command line.
  std::string pattern;
  std::string reason;
  /// In the file of exceptions, from 1.
  size_t line = 0;
};

struct exceptions {
  std::vector<exception> all;
  /// Names of further folders that are not read.
  std::vector<std::string> ignored_folders;
};

/// Reads the text of a file of exceptions. Each line is empty, a comment (`#`), or
///
///     path PATTERN REASON
///     process PATTERN REASON
///     ignore NAME REASON
///
/// `errc::invalid_request` for anything else, with `file` and the line.
caf::expected<exceptions> parse_exceptions(std::string_view text, std::string_view file);

/// The same for a file. @param must_exist otherwise a missing file has no exceptions
caf::expected<exceptions> load_exceptions(const std::filesystem::path& file, bool must_exist);

/// Whether the exception is for the path, which is relative and has `/` between its parts.
bool matches_path(const exception& one, const std::string& path);

/// Whether the exception is for a process with this command line.
bool matches_command(const exception& one, const std::string& command);

} // namespace sluice::validate
