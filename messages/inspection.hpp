#pragma once

#include <caf/deserializer.hpp>
#include <caf/detail/stringification_inspector.hpp>
#include <caf/error.hpp>
#include <caf/serializer.hpp>

/// Stands after the `inspect` of a message: its templates for CAF's three inspectors are compiled once, in
/// `messages/inspection.cpp`, and not in each source that sends the message. The linker reports a type that is missing
/// there.
#define SLUICE_DECLARE_INSPECT(type) SLUICE_INSTANTIATE_INSPECT(extern template, type)

#define SLUICE_INSTANTIATE_INSPECT(kind, type)                                                                         \
  kind ::caf::serializer::result_type inspect(::caf::serializer&, type&);                                              \
  kind ::caf::deserializer::result_type inspect(::caf::deserializer&, type&);                                          \
  kind ::caf::detail::stringification_inspector::result_type inspect(::caf::detail::stringification_inspector&, type&);
