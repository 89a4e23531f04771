#include "runtime/lab/scenario/scenario.hpp"
#include "tests/fuzz/targets.hpp"

namespace sluice::test::fuzz {

void scenario(std::string_view input) {
  auto read = sluice::scenario::parse_scenario(std::string{input});
  if (auto* wrong = std::get_if<sluice::scenario::wrong_file>(&read))
    return must(!wrong->text.empty(), "a refusal has a reason");
}

} // namespace sluice::test::fuzz
