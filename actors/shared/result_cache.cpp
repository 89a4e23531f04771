#include "actors/shared/result_cache.hpp"

#include <algorithm>
#include <bit>
#include <iterator>

namespace sluice {

namespace {

size_t mix(size_t seed, size_t hash) noexcept {
  // The finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014): every input bit reaches every output bit.
  auto z = seed + 0x9e3779b97f4a7c15ULL + hash;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

size_t hash_of(const value& cell) noexcept {
  auto kind = static_cast<size_t>(cell.kind());
  if (auto* i = cell.integer())
    return mix(kind, static_cast<size_t>(*i));
  if (auto* r = cell.real())
    return mix(kind, std::bit_cast<uint64_t>(*r));
  if (auto* bytes = cell.text() ? cell.text() : cell.blob_bytes())
    return mix(kind, std::hash<std::string>{}(*bytes));
  return kind;
}

size_t hash_of(const statement& query) noexcept {
  auto h = query.sql.hash();
  for (const auto& v : query.params.positional)
    h = mix(h, hash_of(v));
  for (const auto& [name, v] : query.params.named)
    h = mix(mix(h, std::hash<std::string>{}(name)), hash_of(v));
  return h;
}

size_t footprint_of(const statement& query, const read_result& result, const dependencies& tables) {
  // An allowance for the map node, the list node and the shared control blocks.
  constexpr size_t overhead = 512;
  return overhead + footprint(query) + (result.rows ? result.rows->footprint() : 0) + tables.size() * sizeof(void*);
}

// How many entries a sweep looks at under the lock of a shard.
constexpr size_t longest_step = 128;

} // namespace

bool still_valid(const dependencies& tables, const table_versions& versions, uint64_t version) {
  auto unchanged = [version](const table_versions::stamp* x) { return x->load() <= version; };
  return unchanged(&versions.everything_changed_at()) && std::all_of(tables.begin(), tables.end(), unchanged);
}

std::optional<read_result> result_cache::find(const database_context& context, const read_request& request,
                                              const read_limits& limits, clock::steady now) {
  if (!settings_.enabled)
    return std::nullopt;
  auto wanted = view(context, request, limits);
  auto& in = shard_of(wanted);
  std::lock_guard guard{in.mutex};
  auto i = in.entries.find(wanted);
  if (i == in.entries.end())
    return std::nullopt;
  auto& e = i->second;
  // Read before the stamps are checked: if they allow a hit, the answer includes this commit.
  auto newest = context.versions().last_commit();
  auto is_too_old = request.max_age.count() > 0 && now >= e.expires - settings_.ttl + request.max_age;
  if (is_too_old || now >= e.expires || !still_valid(e.tables, context.versions(), e.version))
    return std::nullopt;
  in.uses.splice(in.uses.begin(), in.uses, e.use);
  count_hit(in, *i, request.agent);
  auto result = e.result;
  result.source = read_source::cache;
  result.as_of_seq = std::max(result.as_of_seq, newest);
  return result;
}

void result_cache::insert(const database_context& context, const read_request& request, const read_limits& limits,
                          const read_result& result, dependencies tables, uint64_t version, clock::steady now) {
  auto bytes = footprint_of(request.query, result, tables);
  auto budget = settings_.max_bytes / shards_.size();
  if (!settings_.enabled || bytes > budget)
    return;
  for (const auto* table : tables)
    table->note_kept();
  if (!still_valid(tables, context.versions(), version))
    return;
  auto wanted = view(context, request, limits);
  auto& in = shard_of(wanted);
  std::lock_guard guard{in.mutex};
  if (auto old = in.entries.find(wanted); old != in.entries.end())
    erase(in, old);
  while (in.bytes + bytes > budget && !in.uses.empty()) {
    erase(in, in.entries.find(view(*in.uses.back())));
    ++in.evicted;
  }
  auto [i, added] = in.entries.try_emplace(key{&context, request.query, limits, wanted.hash});
  auto& e = i->second;
  e.result = result;
  e.tables = std::move(tables);
  e.version = version;
  e.expires = now + settings_.ttl;
  e.bytes = bytes;
  in.bytes += bytes;
  in.uses.push_front(&i->first);
  e.use = in.uses.begin();
  in.ages.push_back(&*i);
  e.age = std::prev(in.ages.end());
  // It lies between suspects, which are counted from the next one on.
  if (in.suspects > 0)
    ++in.suspects;
}

void result_cache::suspect_all() {
  for (auto& in : shards_) {
    std::lock_guard guard{in.mutex};
    in.suspects = in.entries.size();
  }
}

size_t result_cache::sweep(clock::steady now, size_t most) {
  size_t removed = 0;
  auto first = next_shard_.fetch_add(1, std::memory_order_relaxed);
  for (size_t i = 0; i < shards_.size() && most > 0; ++i) {
    auto& in = shards_[(first + i) % shards_.size()];
    auto is_done = false;
    while (!is_done && most > 0) {
      // Callers look answers up between the steps.
      auto left = std::min<size_t>(most, longest_step);
      most -= left;
      std::lock_guard guard{in.mutex};
      removed += sweep(in, now, left);
      most += left;
      is_done = left > 0;
    }
  }
  return removed;
}

// Looks at as many entries as are left.
size_t result_cache::sweep(shard& in, clock::steady now, size_t& left) {
  auto before = in.entries.size();
  auto remove = [&in](const kept_entry& which) { erase(in, in.entries.find(view(which.first))); };
  for (; left > 0 && !in.ages.empty(); --left) {
    const auto& oldest = *in.ages.front();
    if (now < oldest.second.expires)
      break;
    remove(oldest);
  }
  in.suspects = std::min(in.suspects, in.entries.size());
  for (; left > 0 && in.suspects > 0; --left) {
    if (in.next_suspect == in.ages.end())
      in.next_suspect = in.ages.begin();
    const auto& suspect = **in.next_suspect++;
    --in.suspects;
    if (!still_valid(suspect.second.tables, suspect.first.context->versions(), suspect.second.version))
      remove(suspect);
  }
  auto removed = before - in.entries.size();
  in.invalidated += removed;
  return removed;
}

bool result_cache::has_suspects() const {
  return std::any_of(shards_.begin(), shards_.end(), [](const shard& in) {
    std::lock_guard guard{in.mutex};
    return in.suspects > 0;
  });
}

void result_cache::clear() {
  for (auto& in : shards_) {
    std::lock_guard guard{in.mutex};
    while (!in.entries.empty())
      erase(in, in.entries.begin());
  }
}

std::vector<audit_record> result_cache::take_hit_records(int64_t ts_us, size_t most) {
  std::vector<audit_record> result;
  for (auto& in : shards_) {
    std::lock_guard guard{in.mutex};
    auto& gone = in.evicted_hits;
    for (; most > 0 && !gone.empty(); --most) {
      result.push_back(std::move(gone.back()));
      gone.pop_back();
    }
    for (; most > 0 && !in.hit_entries.empty(); --most) {
      auto& [k, e] = *in.hit_entries.back();
      in.hit_entries.pop_back();
      report_hits(k, e, result);
    }
  }
  for (auto& record : result)
    record.ts_us = ts_us;
  return result;
}

bool result_cache::empty() const {
  return std::all_of(shards_.begin(), shards_.end(), [](const shard& in) {
    std::lock_guard guard{in.mutex};
    return in.entries.empty();
  });
}

void result_cache::describe(cache_status& status) const {
  status.enabled = settings_.enabled;
  for (const auto& in : shards_) {
    std::lock_guard guard{in.mutex};
    status.entries += in.entries.size();
    status.bytes += in.bytes;
    status.hits += in.hits;
    status.invalidated += in.invalidated;
    status.evicted += in.evicted;
  }
}

bool result_cache::equal(const key& a, const key_view& b) noexcept {
  // A key must equal itself even if it holds a NaN, which equals nothing.
  if (&a.query == b.query)
    return true;
  return a.hash == b.hash && a.context == b.context && a.limits.max_rows == b.limits->max_rows
         && a.limits.max_bytes == b.limits->max_bytes && a.query.sql == b.query->sql
         && a.query.params == b.query->params;
}

result_cache::key_view result_cache::view(const database_context& context, const read_request& request,
                                          const read_limits& limits) {
  return {&context, &request.query, &limits, mix(hash_of(request.query), context.hash())};
}

void result_cache::erase(shard& in, entry_map::iterator which) {
  auto& e = which->second;
  if (!e.hits.empty()) {
    in.hit_entries.back()->second.hit_index = e.hit_index;
    in.hit_entries[e.hit_index] = in.hit_entries.back();
    in.hit_entries.pop_back();
    report_hits(which->first, e, in.evicted_hits);
  }
  in.bytes -= e.bytes;
  in.uses.erase(e.use);
  if (in.next_suspect == e.age)
    ++in.next_suspect;
  in.ages.erase(e.age);
  in.entries.erase(which);
}

void result_cache::count_hit(shard& in, kept_entry& hit, const std::string& agent) {
  ++in.hits;
  auto& hits = hit.second.hits;
  auto known = std::find_if(hits.begin(), hits.end(), [&](const auto& x) { return x.first == agent; });
  if (known != hits.end()) {
    ++known->second;
    return;
  }
  if (hits.empty()) {
    hit.second.hit_index = in.hit_entries.size();
    in.hit_entries.push_back(&hit);
  }
  hits.emplace_back(agent, 1);
}

void result_cache::report_hits(const key& k, entry& e, std::vector<audit_record>& to) {
  for (auto& [agent, count] : e.hits) {
    audit_record record;
    record.agent = agent;
    record.db = k.context->name();
    record.type = request_type::cache_hit;
    record.key = read_fingerprint(k.query);
    record.status = "ok";
    record.commit_seq = e.result.as_of_seq;
    record.count = count;
    to.push_back(std::move(record));
  }
  e.hits.clear();
}

std::string read_fingerprint(const statement& query, const std::vector<statement>& more) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text(33, '-');
  auto put = [&](size_t at, size_t bytes) {
    for (auto i = at + 16; i-- > at; bytes >>= 4)
      text[i] = digits[bytes & 15];
  };
  auto texts = query.sql.hash();
  auto whole = hash_of(query);
  for (const auto& next : more) {
    texts = mix(texts, next.sql.hash());
    whole = mix(whole, hash_of(next));
  }
  put(0, texts);
  put(17, whole);
  return text;
}

} // namespace sluice
