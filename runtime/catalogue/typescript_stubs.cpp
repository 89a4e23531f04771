#include "runtime/catalogue/operation_stubs.hpp"
#include "runtime/catalogue/stub_names.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice {

namespace {

constexpr std::string_view typescript_head = R"ts(// Typed functions for the operations of a sluice store.
// Generated from its operation files; changes are lost when it is generated again.

/** Calls an operation. The answer is an object with rows (an array of objects) or changes; blobs are Uint8Array. */
export interface Client {
  call(operation: string, params: unknown, key?: string): Promise<any>;
}
)ts";

// What may be no name of a function in a module.
constexpr std::string_view typescript_keywords[]{
  "arguments", "await",  "break",    "case",    "catch",      "class",     "const",  "continue",   "debugger",
  "default",   "delete", "do",       "else",    "enum",       "eval",      "export", "extends",    "false",
  "finally",   "for",    "function", "if",      "implements", "import",    "in",     "instanceof", "interface",
  "let",       "new",    "null",     "package", "private",    "protected", "public", "return",     "static",
  "super",     "switch", "this",     "throw",   "true",       "try",       "typeof", "undefined",  "var",
  "void",      "while",  "with",     "yield"};

std::string_view typescript_type(parameter_type type) {
  switch (type) {
  case parameter_type::integer:
  case parameter_type::real: return "number";
  case parameter_type::text:
  case parameter_type::json: return "string";
  case parameter_type::blob: return "Uint8Array";
  case parameter_type::any: break;
  }
  return "unknown";
}

// Of an argument; a document is anything that can be written as JSON.
std::string_view typescript_argument_type(parameter_type type) {
  return typescript_type(type == parameter_type::json ? parameter_type::any : type);
}

std::string or_null_type(std::string_view type, bool nullable) {
  return fmt::format("{}{}", type, nullable && type != "unknown" ? " | null" : "");
}

// `given` with its documents as text.
std::string typescript_arguments(const operation& of, std::string_view given) {
  std::string converted;
  for (const auto& [name, type, nullable, lowest, highest] : of.parameters) {
    if (type != parameter_type::json)
      continue;
    auto text = fmt::format("JSON.stringify({}.{})", given, name);
    converted +=
      fmt::format(", {}: {}", name, nullable ? fmt::format("{}.{} == null ? null : {}", given, name, text) : text);
  }
  return converted.empty() ? std::string{given} : fmt::format("{{ ...{}{} }}", given, converted);
}

class typescript_writer {
public:
  std::string run(const catalogue& operations) {
    text_ = typescript_head;
    for (const auto& each : operations.operations())
      add(each);
    return std::move(text_);
  }

private:
  void add(const operation& each) {
    auto result = result_type(each);
    auto signature = parameters_of(each);
    if (each.writes())
      signature += ", key?: string";
    text_ += '\n';
    if (!each.description.empty())
      text_ += comment(each.description);
    text_ += fmt::format("export async function {}(client: Client{}): Promise<{}> {{\n", functions_.claim(each.name),
                         signature, result);
    text_ += fmt::format("  const answer = await client.call(\"{}\", {}{});\n", each.name, arguments_,
                         each.writes() ? ", key" : "");
    if (each.kind == operation_kind::one)
      text_ += "  return answer.rows[0] ?? null;\n}\n";
    else
      text_ += fmt::format("  return answer.{};\n}}\n", has_rows(each.kind) ? "rows" : "changes");
  }

  // Declares the type of its rows.
  std::string result_type(const operation& each) {
    if (!has_rows(each.kind))
      return "number";
    std::string row = "Record<string, unknown>";
    if (!each.columns.empty()) {
      row = types_.claim(in_camel_case(each.name) + "Row");
      text_ += fmt::format("\nexport interface {} {{\n", row);
      for (const auto& column : each.columns)
        text_ += fmt::format("  {}: {};\n", column.name, or_null_type(typescript_type(column.type), column.nullable));
      text_ += "}\n";
    }
    return row + (each.kind == operation_kind::one ? " | null" : "[]");
  }

  // Declares the type of its arguments.
  std::string parameters_of(const operation& each) {
    auto is_batch = each.kind == operation_kind::batch;
    if (each.parameters.empty() && !is_batch) {
      arguments_ = "{}";
      return {};
    }
    auto type = types_.claim(in_camel_case(each.name) + (is_batch ? "Set" : "Params"));
    text_ += fmt::format("\nexport interface {} {{\n", type);
    for (const auto& parameter : each.parameters)
      text_ += fmt::format("  {}{}: {};\n", parameter.name, parameter.nullable ? "?" : "",
                           or_null_type(typescript_argument_type(parameter.type), parameter.nullable));
    text_ += "}\n";
    if (is_batch) {
      auto converted = typescript_arguments(each, "set");
      arguments_ = converted == "set" ? "sets" : fmt::format("sets.map((set) => ({}))", converted);
      return fmt::format(", sets: {}[]", type);
    }
    arguments_ = typescript_arguments(each, "params");
    auto may_be_left_out = std::all_of(each.parameters.begin(), each.parameters.end(),
                                       [](const operation_parameter& parameter) { return parameter.nullable; });
    return fmt::format(", params: {}{}", type, may_be_left_out ? " = {}" : "");
  }

  static std::string comment(std::string_view description) {
    std::string result = "/**\n";
    for (auto line : lines_of(description))
      result += fmt::format(" *{}{}\n", line.empty() ? "" : " ", replace_all(line, "*/", "*\\/"));
    return result + " */\n";
  }

  std::string text_;
  stub_scope functions_{typescript_keywords};
  stub_scope types_;
  // What the function that is being written sends.
  std::string arguments_;
};

} // namespace

std::string typescript_stubs(const catalogue& operations) { return typescript_writer{}.run(operations); }

} // namespace sluice
