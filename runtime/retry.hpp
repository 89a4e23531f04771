#pragma once

// Where hosts found this header before version 0.2.
#include "runtime/broker/retry.hpp" // IWYU pragma: export
