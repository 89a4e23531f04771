#pragma once

/// Everything that a host or a client includes: the broker in this process, ways to brokers elsewhere, the front door
/// for others, requests, answers and errors, and the host's own retries. `docs/guides/embedding.md` says how they go
/// together.
#include "messages/error.hpp"
#include "messages/interfaces.hpp"
#include "runtime/broker/broker.hpp"
#include "runtime/broker/cursor.hpp"
#include "runtime/broker/local_operation.hpp"
#include "runtime/broker/migrate.hpp"
#include "runtime/broker/retry.hpp"
#include "runtime/broker/write_buffer.hpp"
#include "runtime/client/client.hpp"
#include "runtime/client/migrate.hpp"
#include "runtime/client/remote_operation.hpp"
#include "runtime/server/front_door.hpp"
#include "runtime/store/config.hpp"
