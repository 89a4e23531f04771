#pragma once

#include "messages/statement.hpp"
#include "runtime/catalogue/operation.hpp"

#include <caf/expected.hpp>

#include <nlohmann/json_fwd.hpp>

#include <string_view>
#include <vector>

/// The arguments of a call: checked against the parameters of the operation, and converted to what is bound. Arguments
/// stay values: none of them becomes a part of the SQL. Pure functions, safe from any thread.
///
/// Errors are `errc::invalid_request` naming the argument first, as `params.text is missing`.
namespace sluice {

/// A value for each parameter of `of`, in their order. Refused: an argument that no parameter has (the nearest name is
/// suggested) or that is given twice, a missing one or NULL where the parameter is not nullable, another type, a value
/// or length out of bounds, text that is not UTF-8, JSON that is none, and NaN. NULL is the same as no argument.
///
/// A real without a fraction is an integer, an integer is a real; nothing else is converted.
caf::expected<parameters> check_arguments(const operation& of, const std::vector<named_value>& given,
                                          std::string_view field = "params");

/// The same for an object of values in the forms of docs/reference/protocol.md; null has no members. For a parameter of
/// type json, an array or an object stands for the document that it is. An array instead of the object is refused: the
/// arguments of an operation are named.
caf::expected<parameters> arguments_from_json(const operation& of, const nlohmann::json& source,
                                              std::string_view field = "params");

/// The same for a `:batch` operation: an array of such objects, or an object with such an array in `sets`. Names an
/// argument as `params[2].text`.
caf::expected<std::vector<parameters>> batch_arguments_from_json(const operation& of, const nlohmann::json& source,
                                                                 std::string_view field = "params");

/// The statements of `of`, each with those of the arguments that it has parameters for.
/// @pre `checked` came from `check_arguments` or `arguments_from_json` of the same operation
std::vector<statement> bound_statements(const operation& of, const parameters& checked);

} // namespace sluice
