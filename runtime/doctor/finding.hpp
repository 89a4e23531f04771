#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::doctor {

/// The severity of a finding. Up to `note` the store is healthy.
enum class severity : uint8_t { ok, note, warning, problem };

constexpr std::string_view to_string(severity level) {
  constexpr std::array<std::string_view, 4> words{"ok", "note", "warning", "problem"};
  return words[static_cast<size_t>(level)];
}

/// The result of one check of the doctor.
struct finding {
  doctor::severity severity = doctor::severity::ok;
  /// The name of the check, for scripts.
  std::string check;
  /// A database, a file of the broker, or the store.
  std::string subject;
  /// The state and its consequence, for people.
  std::string text;
  /// The remedy; empty if none is needed.
  std::string advice{};
};

using findings = std::vector<finding>;

} // namespace sluice::doctor
