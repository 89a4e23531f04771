#include "messages/cancel_token.hpp"
#include "messages/statement.hpp"
#include "messages/value.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <type_traits>
#include <vector>

namespace sluice::test::value_test {

namespace {

enum plain : uint8_t { red = 7 };
enum class scoped : uint8_t { blue };

template <class T> constexpr bool makes_a_value = std::is_constructible_v<value, T>;

// Types that SQLite would store as a different value.
static_assert(!makes_a_value<plain> && !makes_a_value<scoped>);
static_assert(!makes_a_value<uint64_t> && !makes_a_value<size_t> && !makes_a_value<unsigned long long>);
static_assert(!makes_a_value<char> && !makes_a_value<wchar_t> && !makes_a_value<char8_t> && !makes_a_value<char32_t>);
static_assert(!makes_a_value<long double>);
static_assert(!makes_a_value<std::atomic<int>&>);
static_assert(!makes_a_value<void*> && !makes_a_value<int*> && !makes_a_value<const unsigned char*>);

static_assert(makes_a_value<bool> && makes_a_value<int8_t> && makes_a_value<uint8_t> && makes_a_value<uint32_t>);
static_assert(makes_a_value<int64_t> && makes_a_value<long> && makes_a_value<long long>);
static_assert(makes_a_value<float> && makes_a_value<double>);
static_assert(makes_a_value<char*> && makes_a_value<const char (&)[3]>);

} // namespace

TEST_CASE("numbers become values of their type") {
  CHECK(*value{true}.integer() == 1);
  CHECK(*value{uint8_t{200}}.integer() == 200);
  CHECK(*value{UINT32_MAX}.integer() == int64_t{UINT32_MAX});
  CHECK(*value{INT64_MIN}.integer() == INT64_MIN);
  CHECK(*value{0.5F}.real() == 0.5);
  CHECK(*value{static_cast<int64_t>(red)}.integer() == 7);
}

TEST_CASE("a null pointer to a text is NULL, and an empty text is not") {
  const char* none = nullptr;
  CHECK(value{none}.is_null());
  CHECK(*value{""}.text() == "");
}

TEST_CASE("a token can be cancelled by either of two others, and does not cancel them") {
  auto by = GENERATE(0, 1, 2);
  auto first = cancel_token::make();
  auto second = cancel_token::make();
  auto child = first.derive(second).derive();
  CHECK_FALSE(child.cancelled());
  (by == 0 ? first : by == 1 ? second : child).cancel();
  CHECK(child.cancelled());
  CHECK(first.cancelled() == (by == 0));
  CHECK(second.cancelled() == (by == 1));
}

TEST_CASE("a statement without parameters is written as its text alone") {
  std::vector<statement> list = {{"SELECT 1"}, {"SELECT ?", {1}}};
  CHECK(list[0].sql.str() == "SELECT 1");
  CHECK(list[0].params == parameters{});
  CHECK(list[1].params == parameters{1});
}

} // namespace sluice::test::value_test
