#include "actors/writer/schema_barrier.hpp"

#include "actors/base/sql_tokens.hpp"

#include <algorithm>
#include <utility>

namespace sluice {

bool may_change_schema(std::string_view sql) noexcept {
  auto token = take_token(sql);
  while (token.is(';'))
    token = take_token(sql);
  if (token.is("alter") || token.is("drop"))
    return true;
  if (!token.is("create"))
    return false;
  token = take_token(sql);
  if (token.is("unique") || token.is("temp") || token.is("temporary"))
    token = take_token(sql);
  return token.is("index") || token.is("trigger");
}

bool may_change_schema(const write_request& request) noexcept {
  return std::any_of(request.statements.begin(), request.statements.end(),
                     [](const statement& each) { return may_change_schema(std::string_view{each.sql.str()}); });
}

clock::steady schema_barrier::next_deadline() const {
  auto result = clock::steady::max();
  for (const auto& held : waiting_)
    result = std::min(result, held.deadline);
  return result;
}

std::vector<schema_barrier::waiting> schema_barrier::take_expired(clock::steady now) {
  std::vector<waiting> expired;
  std::vector<waiting> rest;
  for (auto& held : waiting_)
    (held.deadline <= now ? expired : rest).push_back(std::move(held));
  waiting_ = std::move(rest);
  return expired;
}

std::vector<schema_barrier::waiting> schema_barrier::lower() {
  is_up_ = false;
  return std::exchange(waiting_, {});
}

} // namespace sluice
