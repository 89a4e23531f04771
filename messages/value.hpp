#pragma once

#include "messages/inspection.hpp"

#include <caf/error.hpp>
#include <caf/meta/load_callback.hpp>
#include <caf/meta/omittable.hpp>
#include <caf/meta/type_name.hpp>

#include <bit>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace sluice {

/// Bytes that SQLite stores as BLOB; owns its bytes.
struct blob {
  std::string bytes;

  friend bool operator==(const blob&, const blob&) = default;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, blob& x) {
  return f(caf::meta::type_name("blob"), x.bytes);
}
SLUICE_DECLARE_INSPECT(blob)

/// The five storage classes of SQLite, in the order of `value`'s alternatives.
enum class value_kind : uint8_t { null, integer, real, text, blob };

/// How JSON answers write integers beyond 2^53, which many programs cannot hold as a number: still as a number, as a
/// decimal text, or as `{"$integer":"9007199254740993"}`.
enum class integer_form : uint8_t { number, text, tagged };

/// Types that SQLite stores unchanged as an integer: every integer type without values beyond 64 bits with a sign.
/// Characters are excluded, because 'x' would become 120.
template <class T>
concept fitting_integer = std::
  integral<T> && !(std::same_as<T, char> || std::same_as<T, wchar_t> || std::same_as<T, char8_t> || std::same_as<T, char16_t> || std::same_as<T, char32_t>)&&(
    sizeof(T) < sizeof(int64_t) || (sizeof(T) == sizeof(int64_t) && std::is_signed_v<T>));

/// Types that SQLite stores unchanged as a real.
template <class T>
concept fitting_real = std::same_as<T, float> || std::same_as<T, double>;

/// One SQLite value: NULL, 64-bit integer, double, text or blob. Text should be UTF-8, but may hold any bytes, as in
/// SQLite. Regular; not synchronized.
///
/// Only types that keep their meaning convert to a value. The compiler refuses enumerations, characters, `long double`,
/// pointers to anything but a text, and `uint64_t` and `size_t`, whose largest numbers do not fit in SQLite's integers.
/// Cast an enumeration, and a number that is known to fit, to `int64_t`; write a larger one as text.
class value {
public:
  using storage = std::variant<std::monostate, int64_t, double, std::string, blob>;

  value() = default;
  value(std::nullptr_t) {}
  /// 1 or 0 for a bool.
  template <fitting_integer Int> value(Int integer) : data_(static_cast<int64_t>(integer)) {}
  template <fitting_real Real> value(Real real) : data_(static_cast<double>(real)) {}
  value(std::string text) : data_(std::move(text)) {}
  value(std::string_view text) : data_(std::string{text}) {}
  /// NULL for a null pointer, as in SQLite.
  value(const char* text) {
    if (text)
      data_ = std::string{text};
  }
  value(blob bytes) : data_(std::move(bytes)) {}

  value_kind kind() const noexcept { return static_cast<value_kind>(data_.index()); }
  bool is_null() const noexcept { return data_.index() == 0; }

  /// These return null when the value is of another kind; valid as long as this value is unchanged.
  const int64_t* integer() const noexcept { return std::get_if<int64_t>(&data_); }
  const double* real() const noexcept { return std::get_if<double>(&data_); }
  const std::string* text() const noexcept { return std::get_if<std::string>(&data_); }
  const std::string* blob_bytes() const noexcept {
    auto* bytes = std::get_if<blob>(&data_);
    return bytes ? &bytes->bytes : nullptr;
  }

  const storage& data() const noexcept { return data_; }

  /// Heap and inline bytes that this value counts for in queue and cache bounds.
  size_t footprint() const noexcept {
    auto* bytes = text() ? text() : blob_bytes();
    return sizeof(value) + (bytes ? bytes->size() : 0);
  }

  friend bool operator==(const value&, const value&) = default;

  // CAF 0.17 cannot send std::variant, so the alternatives are sent side by side. A double is sent as its bits: CAF's
  // own packing does not end for an infinity and loses NaN and subnormal numbers.
  template <class Inspector> friend typename Inspector::result_type inspect(Inspector& f, value& x);

private:
  static value restore(value_kind kind, int64_t integer, double real, std::string bytes) {
    switch (kind) {
    case value_kind::null: return {};
    case value_kind::integer: return integer;
    case value_kind::real: return real;
    case value_kind::text: return bytes;
    case value_kind::blob: return blob{std::move(bytes)};
    }
    return {};
  }

  storage data_;
};

template <class Inspector> typename Inspector::result_type inspect(Inspector& f, value& x) {
  auto kind = static_cast<uint8_t>(x.kind());
  auto integer = x.integer() ? *x.integer() : int64_t{0};
  auto real = x.real() ? std::bit_cast<uint64_t>(*x.real()) : uint64_t{0};
  auto bytes = x.text() ? *x.text() : (x.blob_bytes() ? *x.blob_bytes() : std::string{});
  auto load = [&]() -> caf::error {
    x = value::restore(static_cast<value_kind>(kind), integer, std::bit_cast<double>(real), std::move(bytes));
    return caf::none;
  };
  return f(caf::meta::type_name("value"), kind, integer, real, bytes, caf::meta::load_callback(load));
}
SLUICE_DECLARE_INSPECT(value)

} // namespace sluice
