#include "runtime/server/rpc/methods.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::rpc {

namespace {

// Calls `visit` with each name in a space-separated list until it returns true; returns whether it did.
template <class Visit> bool any_name(std::string_view names, Visit visit) {
  while (!names.empty()) {
    auto end = std::min(names.find(' '), names.size());
    if (visit(names.substr(0, end)))
      return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

} // namespace

const method* find_method(std::string_view name) noexcept {
  const auto* found =
    std::find_if(all_methods.begin(), all_methods.end(), [&](const method& x) { return x.name == name; });
  return found == all_methods.end() ? nullptr : found;
}

std::string_view sender_parameter(const method& method) noexcept {
  auto has = [&](std::string_view name) {
    return any_name(method.parameters, [name](std::string_view each) { return each == name; });
  };
  if (has("caller"))
    return "caller";
  // Of this one it is somebody else, whom a bridge reports.
  return has("agent") && method.type != request_type::audit_refused ? "agent" : "";
}

bool counts_for_rate(const method& method) noexcept {
  return method.type != request_type::cancel && method.type != request_type::cursor_close;
}

bool is_parameter(std::string_view name) noexcept {
  return std::any_of(all_methods.begin(), all_methods.end(), [&](const method& each_method) {
    return any_name(each_method.parameters, [&](std::string_view each) { return each == name; });
  });
}

std::string methods_as_markdown() {
  std::string result = "| method | parameters | what it does |\n|---|---|---|\n";
  for (const auto& method : all_methods) {
    std::string parameters;
    any_name(method.parameters, [&](std::string_view each) {
      parameters += fmt::format("{}`{}`", parameters.empty() ? "" : ", ", each);
      return false;
    });
    result += fmt::format("| `{}` | {} | {} |\n", method.name, parameters.empty() ? "-" : parameters, method.summary);
  }
  return result;
}

} // namespace sluice::rpc
