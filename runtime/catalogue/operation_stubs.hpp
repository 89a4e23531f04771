#pragma once

#include "runtime/catalogue/catalogue.hpp"

#include <string>

/// Typed functions for the operations of a catalogue, as source text of other languages. Equal catalogues give equal
/// texts. Pure functions, safe from any thread.
///
/// A function calls `client.call(operation, params, key)`, whose answer has `rows` (objects) or `changes`; the key is
/// the idempotency key of a write. The client converts blobs. A name that is a keyword of the language, or is taken,
/// gets `_` at its end; the operation is called by its own name.
namespace sluice {

/// A module for Python 3.8 and later.
std::string python_stubs(const catalogue& operations);

/// A module for TypeScript 4 and later.
std::string typescript_stubs(const catalogue& operations);

} // namespace sluice
