#include "runtime/catalogue/operation_stubs.hpp"
#include "runtime/catalogue/stub_names.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice {

namespace {

constexpr std::string_view python_head = R"py("""Typed functions for the operations of a sluice store.

Generated from its operation files; changes are lost when it is generated again.
"""

from __future__ import annotations

import json as _json
import typing as _t


class Client(_t.Protocol):
    """Calls an operation. The answer is a dict with rows (a list of dicts) or changes; blobs are bytes."""

    def call(self, operation: str, params: _t.Any, key: _t.Optional[str] = None) -> _t.Any: ...
)py";

// What may be no name in Python.
constexpr std::string_view python_keywords[]{
  "and",      "as",     "assert",  "async", "await", "break",  "class", "continue", "def",  "del",  "elif",
  "else",     "except", "finally", "for",   "from",  "global", "if",    "import",   "in",   "is",   "lambda",
  "nonlocal", "not",    "or",      "pass",  "raise", "return", "try",   "while",    "with", "yield"};

// Types in annotations, which a function of the same name would hide.
constexpr std::string_view python_types[]{"int", "float", "str", "bytes"};

// The other parameters of each function.
constexpr std::string_view python_own_names[]{"client", "key", "sets"};

stub_scope python_scope(std::span<const std::string_view> own) {
  stub_scope result{python_keywords};
  for (auto name : own)
    result.claim(std::string{name});
  return result;
}

std::string_view python_type(parameter_type type) {
  switch (type) {
  case parameter_type::integer: return "int";
  case parameter_type::real: return "float";
  case parameter_type::text:
  case parameter_type::json: return "str";
  case parameter_type::blob: return "bytes";
  case parameter_type::any: break;
  }
  return "_t.Any";
}

std::string python_type(parameter_type type, bool nullable) {
  auto name = python_type(type);
  return nullable && type != parameter_type::any ? fmt::format("_t.Optional[{}]", name) : std::string{name};
}

// Of an argument; a document is anything that can be written as JSON.
std::string python_type(const operation_parameter& parameter) {
  auto type = parameter.type == parameter_type::json ? parameter_type::any : parameter.type;
  return python_type(type, parameter.nullable);
}

// What is sent for the argument that is the expression `given`.
std::string python_argument(const operation_parameter& parameter, const std::string& given) {
  if (parameter.type != parameter_type::json)
    return given;
  return parameter.nullable ? fmt::format("None if {} is None else _json.dumps({})", given, given)
                            : fmt::format("_json.dumps({})", given);
}

// A member that may be None may also be left out.
std::string member_of_set(const operation_parameter& parameter) {
  return parameter.nullable ? fmt::format("_set.get(\"{}\")", parameter.name)
                            : fmt::format("_set[\"{}\"]", parameter.name);
}

// The functional form takes names that are keywords, too.
template <class Members> std::string python_dict_type(const std::string& name, const Members& members) {
  std::string result = fmt::format("\n\n{} = _t.TypedDict(\"{}\", {{\n", name, name);
  for (const auto& [member, type] : members)
    result += fmt::format("    \"{}\": {},\n", member, type);
  return result + "})\n";
}

using python_members = std::vector<std::pair<std::string, std::string>>;

class python_writer {
public:
  std::string run(const catalogue& operations) {
    text_ = python_head;
    for (const auto& each : operations.operations())
      add(each);
    return std::move(text_);
  }

private:
  void add(const operation& each) {
    auto result = result_type(each);
    auto signature = each.kind == operation_kind::batch ? batch_parameters(each) : named_parameters(each);
    if (each.writes())
      signature += signature.find("*, ") == std::string::npos ? ", *, key: _t.Optional[str] = None"
                                                              : ", key: _t.Optional[str] = None";
    text_ += fmt::format("\n\ndef {}(client: Client{}) -> {}:\n", functions_.claim(each.name), signature, result);
    if (!each.description.empty())
      text_ += docstring(each.description);
    text_ +=
      fmt::format("    _answer = client.call(\"{}\", {}{})\n", each.name, arguments_, each.writes() ? ", key" : "");
    if (each.kind == operation_kind::one)
      text_ += "    return _answer[\"rows\"][0] if _answer[\"rows\"] else None\n";
    else
      text_ += fmt::format("    return _answer[\"{}\"]\n", has_rows(each.kind) ? "rows" : "changes");
  }

  // Declares the type of its rows.
  std::string result_type(const operation& each) {
    if (!has_rows(each.kind))
      return "int";
    std::string row = "_t.Dict[str, _t.Any]";
    if (!each.columns.empty()) {
      row = types_.claim(in_camel_case(each.name) + "Row");
      python_members members;
      for (const auto& column : each.columns)
        members.emplace_back(column.name, python_type(column.type, column.nullable));
      text_ += python_dict_type(row, members);
    }
    return fmt::format("_t.{}[{}]", each.kind == operation_kind::one ? "Optional" : "List", row);
  }

  std::string named_parameters(const operation& each) {
    auto names = python_scope(python_own_names);
    std::string result;
    arguments_ = "{";
    for (const auto& parameter : each.parameters) {
      auto name = names.claim(parameter.name);
      result += fmt::format("{}{}: {}{}", result.empty() ? ", *, " : ", ", name, python_type(parameter),
                            parameter.nullable ? " = None" : "");
      arguments_ += fmt::format("{}\"{}\": {}", arguments_.size() > 1 ? ", " : "", parameter.name,
                                python_argument(parameter, name));
    }
    arguments_ += "}";
    return result;
  }

  // Declares the type of its sets of arguments.
  std::string batch_parameters(const operation& each) {
    auto set = types_.claim(in_camel_case(each.name) + "Set");
    python_members members;
    std::string converted;
    for (const auto& parameter : each.parameters) {
      members.emplace_back(parameter.name, python_type(parameter));
      if (parameter.type == parameter_type::json)
        converted += fmt::format(", \"{}\": {}", parameter.name, python_argument(parameter, member_of_set(parameter)));
    }
    text_ += python_dict_type(set, members);
    arguments_ = "[{**_set" + converted + "} for _set in sets]";
    return fmt::format(", sets: _t.Iterable[{}]", set);
  }

  static std::string docstring(std::string_view description) {
    auto escaped = replace_all(replace_all(description, "\\", "\\\\"), "\"", "\\\"");
    std::string result = "    \"\"\"";
    for (auto line : lines_of(escaped))
      result += (line.empty() || result.back() == '"' ? "" : "    ") + std::string{line} + '\n';
    result.pop_back();
    return result + "\"\"\"\n";
  }

  std::string text_;
  stub_scope functions_ = python_scope(python_types);
  stub_scope types_;
  // What the function that is being written sends.
  std::string arguments_;
};

} // namespace

std::string python_stubs(const catalogue& operations) { return python_writer{}.run(operations); }

} // namespace sluice
