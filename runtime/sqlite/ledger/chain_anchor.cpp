#include "runtime/sqlite/ledger/chain_anchor.hpp"

#include "messages/error.hpp"
#include "runtime/sqlite/ledger/chain_hash.hpp"

namespace sluice::sqlite {

namespace {

template <class Bytes> std::string_view view_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

chain_hash::digest digest_of(const chain_anchor& anchor, std::string_view chain) {
  chain_hash hash;
  return hash.add(std::string{chain} + " anchor")
    .add(static_cast<uint64_t>(anchor.seq))
    .add(anchor.hash)
    .add(static_cast<uint64_t>(anchor.records))
    .add(static_cast<uint64_t>(anchor.pruned_us))
    .finish();
}

} // namespace

void sign(chain_anchor& anchor, std::string_view chain, const signing_key& key) {
  auto digest = digest_of(anchor, chain);
  anchor.key = view_of(key.verifying_key());
  anchor.signature = view_of(key.sign(bytes_of(digest)));
}

std::string doubt_about(const chain_anchor& anchor, std::string_view chain, const std::filesystem::path& key_file) {
  auto digest = digest_of(anchor, chain);
  if (!is_signed_by(anchor.key, bytes_of(digest), anchor.signature))
    return "does not match its signature";
  if (key_file.empty())
    return {};
  auto key = signing_key::open(key_file);
  if (!key)
    return "cannot be checked: " + describe(key.error()).message;
  if (!*key)
    return "cannot be checked: " + key_file.filename().string() + " is missing";
  return view_of((*key)->verifying_key()) == anchor.key ? std::string{} : "is signed with another key than the store's";
}

} // namespace sluice::sqlite
