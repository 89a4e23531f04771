#include "runtime/json/time_argument.hpp"

#include "messages/error.hpp"

#include <charconv>
#include <chrono>
#include <optional>
#include <string>

namespace sluice {

namespace {

using std::chrono::microseconds;

// Reads a text from left to right; after the first mismatch, every call fails.
class scanner {
public:
  explicit scanner(std::string_view text) : rest_(text) {}

  bool accept(char c) {
    if (!ok_ || rest_.empty() || rest_.front() != c)
      return false;
    rest_.remove_prefix(1);
    return true;
  }

  void expect(char c) { ok_ = accept(c); }

  // Reads exactly `digits` digits, with a value of at most `most`.
  int number(size_t digits, int most) {
    int result = 0;
    auto part = rest_.substr(0, digits);
    auto [end, failed] = std::from_chars(part.data(), part.data() + part.size(), result);
    ok_ = ok_ && failed == std::errc{} && end == part.data() + digits && result >= 0 && result <= most;
    rest_.remove_prefix(ok_ ? digits : 0);
    return result;
  }

  // Reads the digits after a decimal point, as microseconds.
  int64_t fraction() {
    int64_t result = 0;
    int64_t unit = 100'000;
    auto before = rest_.size();
    for (; !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; rest_.remove_prefix(1), unit /= 10)
      result += (rest_.front() - '0') * unit;
    ok_ = ok_ && rest_.size() < before;
    return result;
  }

  bool ok() const noexcept { return ok_; }
  bool at_end() const noexcept { return ok_ && rest_.empty(); }

private:
  std::string_view rest_;
  bool ok_ = true;
};

std::optional<int64_t> relative(std::string_view text, int64_t now_us) {
  int64_t count = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), count);
  constexpr int64_t most = 100'000'000;
  if (failed != std::errc{} || end + 1 != text.data() + text.size() || count < 0 || count > most)
    return std::nullopt;
  int64_t seconds = 0;
  switch (*end) {
  case 's': seconds = 1; break;
  case 'm': seconds = 60; break;
  case 'h': seconds = 3'600; break;
  case 'd': seconds = 86'400; break;
  default: return std::nullopt;
  }
  // A time before the epoch selects everything, too.
  return std::max<int64_t>(0, now_us - count * seconds * 1'000'000);
}

microseconds time_of_day(scanner& in) {
  using namespace std::chrono;
  microseconds result = hours{in.number(2, 23)};
  in.expect(':');
  result += minutes{in.number(2, 59)};
  if (in.accept(':')) {
    result += seconds{in.number(2, 59)};
    if (in.accept('.'))
      result += microseconds{in.fraction()};
  }
  return result;
}

microseconds offset_from_utc(scanner& in) {
  if (in.accept('Z'))
    return {};
  auto sign = in.accept('-') ? -1 : in.accept('+') ? 1 : 0;
  if (sign == 0)
    return {};
  std::chrono::minutes result = std::chrono::hours{in.number(2, 23)};
  in.accept(':');
  result += std::chrono::minutes{in.number(2, 59)};
  return sign * result;
}

std::optional<int64_t> absolute(std::string_view text) {
  using namespace std::chrono;
  scanner in{text};
  auto full_year = year{in.number(4, 9999)};
  in.expect('-');
  auto m = month{static_cast<unsigned>(in.number(2, 12))};
  in.expect('-');
  year_month_day date{full_year, m, day{static_cast<unsigned>(in.number(2, 31))}};
  microseconds time{};
  if (in.accept('T') || in.accept(' ')) {
    time = time_of_day(in);
    time -= offset_from_utc(in);
  }
  if (!in.at_end() || !date.ok())
    return std::nullopt;
  return (sys_days{date}.time_since_epoch() + time).count();
}

} // namespace

caf::expected<int64_t> parse_since(std::string_view text, int64_t now_us) {
  if (auto result = relative(text, now_us))
    return *result;
  if (auto result = absolute(text))
    return *result;
  return make_error(errc::invalid_request,
                    "'" + std::string{text} + "' is no time; write 2024-02-29T12:00:00Z, or 30s, 10m, 2h, 3d");
}

} // namespace sluice
