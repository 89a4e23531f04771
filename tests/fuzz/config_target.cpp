#include "runtime/store/config.hpp"
#include "tests/fuzz/targets.hpp"
#include "tests/support/temp_dir.hpp"

#include <algorithm>
#include <fstream>

namespace sluice::test::fuzz {

void config(std::string_view input) {
  // The parser (toml++ 3.3.0) calls some letters beyond ASCII unreachable where it looks for white space.
  if (std::any_of(input.begin(), input.end(), [](char c) { return static_cast<signed char>(c) < 0; }))
    return;
  static const temp_dir folder;
  {
    std::ofstream out{folder / "sluice.toml", std::ios::binary};
    out.write(input.data(), static_cast<std::streamsize>(input.size()));
  }
  auto result = load_config(folder.path());
  if (result) {
    must(result->readers > 0 && result->queue_max_requests > 0, "what is accepted is in range");
    return;
  }
  auto error = describe(result.error());
  must(error.code == errc::invalid_request, "a bad file is an invalid request");
  must(error.message.starts_with("sluice.toml"), "a refusal names the file");
  must(error.message.find(folder.path().native()) == std::string::npos, "a refusal names no path");
}

} // namespace sluice::test::fuzz
