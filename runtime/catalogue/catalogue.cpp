#include "runtime/catalogue/catalogue.hpp"

#include "messages/error.hpp"
#include "runtime/catalogue/operation_file.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace sluice {

namespace {

// Of names and contents, each with its length before it, so that no two lists of files give the same bytes.
class source_hash {
public:
  source_hash() {
    if (sodium_init() < 0)
      throw std::runtime_error("libsodium cannot be initialized");
    crypto_generichash_init(&state_, nullptr, 0, digest_bytes);
  }

  void add(std::string_view text) {
    std::array<unsigned char, 8> length{};
    for (size_t i = 0; i < length.size(); ++i)
      length[i] = static_cast<unsigned char>(uint64_t{text.size()} >> (8 * i) & 0xff);
    crypto_generichash_update(&state_, length.data(), length.size());
    crypto_generichash_update(&state_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  }

  std::string finish() {
    std::array<unsigned char, digest_bytes> digest{};
    crypto_generichash_final(&state_, digest.data(), digest.size());
    // Its NUL at the end is not part of the text.
    std::array<char, 2 * digest_bytes + 1> text{};
    return sodium_bin2hex(text.data(), text.size(), digest.data(), digest.size());
  }

private:
  static constexpr size_t digest_bytes = crypto_generichash_BYTES;
  crypto_generichash_state state_{};
};

bool is_named_before(const operation& a, const operation& b) noexcept { return a.name < b.name; }

caf::error defined_twice(const operation& first, const operation& second) {
  return make_error(errc::invalid_request,
                    fmt::format("{}:{}: operation {} is already defined at {}:{}; rename one of them", second.file,
                                second.line, second.name, first.file, first.line));
}

} // namespace

catalogue::catalogue() : catalogue(std::vector<operation>{}, source_hash{}.finish()) {}

catalogue::catalogue(std::vector<operation> operations, std::string content_hash)
  : operations_(std::move(operations)), content_hash_(std::move(content_hash)) {
  std::stable_sort(operations_.begin(), operations_.end(), is_named_before);
  places_.reserve(operations_.size());
  for (size_t i = 0; i < operations_.size(); ++i)
    places_.emplace(operations_[i].name, i);
}

const operation* catalogue::find(std::string_view name) const noexcept {
  auto found = places_.find(name);
  return found == places_.end() ? nullptr : &operations_[found->second];
}

caf::expected<std::shared_ptr<const catalogue>> make_catalogue(const std::vector<operation_source>& sources) {
  std::vector<operation> all;
  source_hash hash;
  for (const auto& source : sources) {
    auto parsed = parse_operation_file(source.text, source.file);
    if (!parsed)
      return std::move(parsed.error());
    std::move(parsed->begin(), parsed->end(), std::back_inserter(all));
    hash.add(source.file);
    hash.add(source.text);
  }
  // Stable, so that of two with one name the second is that of the later file.
  std::stable_sort(all.begin(), all.end(), is_named_before);
  auto twice =
    std::adjacent_find(all.begin(), all.end(), [](const operation& a, const operation& b) { return a.name == b.name; });
  if (twice != all.end())
    return defined_twice(*twice, *std::next(twice));
  return std::shared_ptr<const catalogue>{std::make_shared<catalogue>(std::move(all), hash.finish())};
}

} // namespace sluice
