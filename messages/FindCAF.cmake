# CAF 0.17 as Debian packages it (libcaf-dev) has no CMake package. Defines the imported targets CAF::core, CAF::io and
# CAF::openssl for the components asked for.

find_path(CAF_INCLUDE_DIR caf/all.hpp)

foreach(component IN LISTS CAF_FIND_COMPONENTS)
  find_library(CAF_${component}_LIBRARY caf_${component})
  if(CAF_${component}_LIBRARY)
    set(CAF_${component}_FOUND TRUE)
  endif()
  mark_as_advanced(CAF_${component}_LIBRARY)
endforeach()
mark_as_advanced(CAF_INCLUDE_DIR)

if(CAF_INCLUDE_DIR)
  set(version_header "${CAF_INCLUDE_DIR}/caf/config.hpp")
  file(STRINGS "${version_header}" version_line REGEX "#define CAF_VERSION [0-9]+")
  string(REGEX MATCH "[0-9]+$" version_number "${version_line}")
  if(version_number)
    math(EXPR major "${version_number} / 10000")
    math(EXPR minor "${version_number} / 100 % 100")
    math(EXPR patch "${version_number} % 100")
    set(CAF_VERSION "${major}.${minor}.${patch}")
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CAF REQUIRED_VARS CAF_INCLUDE_DIR VERSION_VAR CAF_VERSION HANDLE_COMPONENTS)

find_package(Threads REQUIRED)
foreach(component IN LISTS CAF_FIND_COMPONENTS)
  if(CAF_${component}_FOUND AND NOT TARGET CAF::${component})
    add_library(CAF::${component} UNKNOWN IMPORTED)
    set_target_properties(CAF::${component} PROPERTIES
      IMPORTED_LOCATION "${CAF_${component}_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${CAF_INCLUDE_DIR}"
      INTERFACE_LINK_LIBRARIES Threads::Threads)
    if(NOT component STREQUAL "core")
      set_property(TARGET CAF::${component} APPEND PROPERTY INTERFACE_LINK_LIBRARIES CAF::core)
    endif()
  endif()
endforeach()
