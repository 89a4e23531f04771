#pragma once

// Where hosts found this header before version 0.2.
#include "runtime/client/client.hpp" // IWYU pragma: export
