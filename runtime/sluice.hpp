#pragma once

/// Everything that a host or a client includes: the broker in this process, ways to brokers elsewhere, the front door for
/// others, requests, answers and errors, and the host's own retries. `docs/embedding.md` says how they go together.
#include "messages/error.hpp"
#include "messages/interfaces.hpp"
#include "runtime/broker.hpp"
#include "runtime/client.hpp"
#include "runtime/config.hpp"
#include "runtime/cursor.hpp"
#include "runtime/frontdoor/front_door.hpp"
#include "runtime/retry.hpp"
#include "runtime/write_buffer.hpp"
