#include "runtime/validate/source_language.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace sluice::validate {

namespace {

constexpr std::array<std::pair<std::string_view, language>, 34> endings{{
  {"c", language::c},
  {"h", language::c},
  {"cc", language::c},
  {"cpp", language::c},
  {"cxx", language::c},
  {"c++", language::c},
  {"hh", language::c},
  {"hpp", language::c},
  {"hxx", language::c},
  {"ipp", language::c},
  {"inl", language::c},
  {"tpp", language::c},
  {"cppm", language::c},
  {"ixx", language::c},
  {"m", language::c},
  {"mm", language::c},
  {"rs", language::rust},
  {"go", language::go},
  {"py", language::python},
  {"pyw", language::python},
  {"pyx", language::python},
  {"js", language::javascript},
  {"mjs", language::javascript},
  {"cjs", language::javascript},
  {"jsx", language::javascript},
  {"ts", language::javascript},
  {"mts", language::javascript},
  {"cts", language::javascript},
  {"tsx", language::javascript},
  {"sh", language::shell},
  {"bash", language::shell},
  {"zsh", language::shell},
  {"ksh", language::shell},
  {"bats", language::shell},
}};

// The interpreters of first lines, without version numbers.
constexpr std::array<std::pair<std::string_view, language>, 11> interpreters{{
  {"sh", language::shell},
  {"bash", language::shell},
  {"dash", language::shell},
  {"zsh", language::shell},
  {"ksh", language::shell},
  {"python", language::python},
  {"pypy", language::python},
  {"node", language::javascript},
  {"bun", language::javascript},
  {"deno", language::javascript},
  {"ts-node", language::javascript},
}};

constexpr std::string_view blanks = " \t\r";

// Takes the next word off `line`.
std::string_view take_interpreter(std::string_view& line) noexcept {
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  auto word = line.substr(0, line.find_first_of(blanks));
  line.remove_prefix(word.size());
  return word;
}

} // namespace

std::string_view to_string(language of) noexcept {
  constexpr std::array<std::string_view, 6> names{"C/C++", "Rust", "Go", "Python", "JavaScript", "shell"};
  return names[static_cast<size_t>(of)];
}

std::optional<language> language_of_name(std::string_view name) noexcept {
  auto dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0)
    return std::nullopt;
  for (const auto& [ending, result] : endings)
    if (name.substr(dot + 1) == ending)
      return result;
  return std::nullopt;
}

bool has_no_ending(std::string_view name) noexcept { return name.find('.', 1) == std::string_view::npos; }

std::optional<language> language_of_first_line(std::string_view line) noexcept {
  if (!line.starts_with("#!"))
    return std::nullopt;
  line.remove_prefix(2);
  auto program = take_interpreter(line);
  program.remove_prefix(program.rfind('/') + 1);
  // Options and variables may stand between `env` and the interpreter.
  while (program == "env" || program.starts_with('-') || program.find('=') != std::string_view::npos)
    program = take_interpreter(line);
  while (!program.empty() && std::string_view{"0123456789."}.find(program.back()) != std::string_view::npos)
    program.remove_suffix(1);
  for (const auto& [interpreter, result] : interpreters)
    if (program == interpreter)
      return result;
  return std::nullopt;
}

} // namespace sluice::validate
