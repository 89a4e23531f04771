#include "runtime/server/turns.hpp"

#include <catch2/catch.hpp>

#include <vector>

namespace sluice::test::turns_test {

TEST_CASE("work is started in order, a few at a time, and not for clients that have left") {
  turns aut{2};
  std::vector<int> begun;
  std::vector<std::function<void()>> ended;
  bool is_wanted = true;
  for (int i = 0; i < 5; ++i)
    aut.take([&, i] { return i != 2 || is_wanted; },
             [&, i](std::function<void()> done) {
               begun.push_back(i);
               ended.push_back(std::move(done));
             });
  CHECK(begun == std::vector<int>{0, 1});
  is_wanted = false;
  ended[1]();
  CHECK(begun == std::vector<int>{0, 1, 3});
  ended[0]();
  CHECK(begun == std::vector<int>{0, 1, 3, 4});
  ended[2]();
  ended[3]();
  // Work that ends at once frees its place at once.
  int count = 0;
  for (int i = 0; i < 100; ++i)
    aut.take([] { return true; },
             [&](const std::function<void()>& done) {
               ++count;
               done();
             });
  CHECK(count == 100);
}

} // namespace sluice::test::turns_test
