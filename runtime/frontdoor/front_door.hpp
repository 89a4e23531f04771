#pragma once

// Where hosts found this header before version 0.2.
#include "runtime/server/front_door.hpp" // IWYU pragma: export
