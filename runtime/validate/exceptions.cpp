#include "runtime/validate/exceptions.hpp"

#include "actors/base/utf8_text.hpp"
#include "messages/error.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fnmatch.h>
#include <fstream>
#include <iterator>

namespace sluice::validate {

namespace {

constexpr std::string_view space_characters = " \t\r";

std::string_view take_field(std::string_view& line) noexcept {
  line.remove_prefix(std::min(line.find_first_not_of(space_characters), line.size()));
  auto field = line.substr(0, line.find_first_of(space_characters));
  line.remove_prefix(field.size());
  return field;
}

std::string_view without_outer_blanks(std::string_view text) noexcept {
  auto begin = text.find_first_not_of(space_characters);
  if (begin == std::string_view::npos)
    return {};
  return text.substr(begin, text.find_last_not_of(space_characters) - begin + 1);
}

// The mistake in the line; empty if there is none.
std::string read_line(std::string_view line, size_t number, exceptions& to) {
  auto kind = take_field(line);
  if (kind.empty() || kind.starts_with('#'))
    return "";
  if (kind != "path" && kind != "process" && kind != "ignore")
    return fmt::format("a line begins with path, process, ignore or #, not with '{}'", escape_invalid_utf8(kind));
  std::string pattern{take_field(line)};
  std::string reason{without_outer_blanks(line)};
  if (pattern.empty() || reason.empty())
    return fmt::format("{} needs a pattern and a reason: {} PATTERN REASON", kind, kind);
  if (kind == "ignore" && pattern.find('/') != std::string::npos)
    return "ignore takes the name of a folder without '/'";
  if (kind == "path" && (pattern.front() == '/' || pattern.starts_with("./") || pattern.back() == '/'))
    return fmt::format("write the path relative to the folder that is validated, without '/' at its ends: {}",
                       escape_invalid_utf8(pattern));
  if (kind == "ignore")
    to.ignored_folders.push_back(std::move(pattern));
  else
    to.all.push_back(
      {kind == "path" ? exception_kind::path : exception_kind::process, std::move(pattern), std::move(reason), number});
  return "";
}

bool fits(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

} // namespace

caf::expected<exceptions> parse_exceptions(std::string_view text, std::string_view file) {
  exceptions result;
  for (size_t number = 1; !text.empty(); ++number) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (auto mistake = read_line(line, number, result); !mistake.empty())
      return make_error(errc::invalid_request, fmt::format("{}:{}: {}", file, number, mistake));
  }
  return result;
}

caf::expected<exceptions> load_exceptions(const std::filesystem::path& file, bool must_exist) {
  auto shown = escape_invalid_utf8(file.filename().native());
  std::error_code failed;
  auto kind = std::filesystem::status(file, failed).type();
  if (kind == std::filesystem::file_type::not_found && !must_exist)
    return exceptions{};
  if (kind != std::filesystem::file_type::regular)
    return make_error(errc::invalid_request, fmt::format("{} is not a file of exceptions that can be read", shown));
  std::ifstream in{file, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in.is_open() || in.bad())
    return make_error(errc::invalid_request, fmt::format("{} cannot be read by this user", shown));
  return parse_exceptions(text, shown);
}

bool matches_path(const exception& one, const std::string& path) {
  if (one.kind != exception_kind::path)
    return false;
  for (auto end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1))
    if (fits(one.pattern, path.substr(0, end)))
      return true;
  return fits(one.pattern, path);
}

bool matches_command(const exception& one, const std::string& command) {
  return one.kind == exception_kind::process && fits(one.pattern, command);
}

} // namespace sluice::validate
