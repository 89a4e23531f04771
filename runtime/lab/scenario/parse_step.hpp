#pragma once

#include "runtime/lab/scenario/step.hpp"

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::scenario {

/// Reads the steps of one scenario. Throws `mistake`.
class step_parser {
public:
  /// @param agents those that the file declares; if it declares none, any name is allowed
  explicit step_parser(std::set<std::string> agents) : agents_(std::move(agents)) {}

  std::vector<step> parse_list(const node& node);

  /// The maximum number of concurrent requests in these steps.
  static uint64_t width_of(const std::vector<step>& steps);

private:
  step parse(const node& node);
  const node::member& find_action(const node& node) const;
  void parse_common(const node& node, step& to);
  void parse_fields(const node& node, step& to);
  void parse_expectation(const node& node, step& to) const;
  void add_label(const std::string& label, place at);
  void check_references(const node& node) const;

  std::set<std::string> agents_;
  std::set<std::string> labels_;
};

} // namespace sluice::scenario
