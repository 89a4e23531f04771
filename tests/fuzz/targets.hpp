#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>

/// Parsers of input from outside, each as a function of some bytes. It ends the process when an invariant is broken;
/// the sanitizers find other errors.
namespace sluice::test::fuzz {

/// Documents on lines, through JSON-RPC and MCP into requests.
void rpc(std::string_view input);
/// A connection's framing: the first byte is the size of the pieces in which the others arrive.
void connection(std::string_view input);
/// `sluice.toml`.
void config(std::string_view input);
/// A value, parameters and answers in JSON, and values of the command line.
void values(std::string_view input);
/// The CBOR records of the ledger and of the buffer's journal; the first byte selects one.
void records(std::string_view input);
/// A scenario file.
void scenario(std::string_view input);

struct target {
  std::string_view name;
  void (*run)(std::string_view);
};

inline constexpr std::array targets{target{"rpc", rpc},         target{"connection", connection},
                                    target{"config", config},   target{"values", values},
                                    target{"records", records}, target{"scenario", scenario}};

/// Ends the process with a message unless `holds`.
inline void must(bool holds, const char* promise) {
  if (holds)
    return;
  std::fprintf(stderr, "broken: %s\n", promise);
  std::abort();
}

} // namespace sluice::test::fuzz
