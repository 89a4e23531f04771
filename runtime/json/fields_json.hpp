#pragma once

#include "messages/fields.hpp"

#include <nlohmann/json.hpp>

#include <vector>

namespace sluice {

/// The JSON object of a struct that has a list of its fields: numbers, booleans and texts unchanged, structs with a
/// list as objects, vectors as arrays. Leaves out fields of other types; the caller adds them.
template <has_fields T> nlohmann::json fields_json(const T& object);

namespace detail {

template <class Member> void add_member(nlohmann::json& to, const char* name, const Member& value) {
  if constexpr (has_fields<Member>)
    to[name] = fields_json(value);
  else if constexpr (std::is_constructible_v<nlohmann::json, const Member&>)
    to[name] = value;
}

template <has_fields Item> void add_member(nlohmann::json& to, const char* name, const std::vector<Item>& items) {
  auto& array = to[name] = nlohmann::json::array();
  for (const auto& item : items)
    array.push_back(fields_json(item));
}

} // namespace detail

template <has_fields T> nlohmann::json fields_json(const T& object) {
  auto result = nlohmann::json::object();
  fields_of<T>.for_each([&](const auto& each) { detail::add_member(result, each.name, object.*each.member); });
  return result;
}

} // namespace sluice
