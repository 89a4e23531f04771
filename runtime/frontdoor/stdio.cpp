#include "runtime/frontdoor/stdio.hpp"

#include "runtime/client.hpp"
#include "runtime/frontdoor/client_port.hpp"
#include "runtime/frontdoor/rpc/dispatch.hpp"
#include "runtime/frontdoor/rpc/mcp.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <cstdio>
#include <iostream>
#include <semaphore>
#include <string>
#include <thread>

namespace sluice {

namespace {

namespace asio = boost::asio;

// Requests that wait for their answers at once; more wait for these, and beyond that stdin is not read.
constexpr size_t max_waiting = 32;
constexpr std::ptrdiff_t max_pipelined = 1'024;

void print_line(const std::string& line) {
  if (line.empty())
    return;
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

} // namespace

caf::expected<void> serve_stdio(const std::filesystem::path& root, std::function<void(std::string_view)> warn) {
  client_options options;
  options.warn = std::move(warn);
  auto store = open_client(root, std::move(options));
  if (!store)
    return std::move(store.error());
  asio::io_context loop{1};
  asio::thread_pool waiting{max_waiting};
  rpc::mcp_settings settings;
  settings.version = SLUICE_VERSION;
  settings.pass_through = true;
  auto methods = rpc::make_mcp(std::make_unique<client_port>(**store, loop, waiting), settings);
  std::counting_semaphore<max_pipelined> room{max_pipelined};
  auto answer = [&room](const std::string& line) {
    print_line(line);
    room.release();
  };
  std::thread read{[&, busy = asio::make_work_guard(loop)]() mutable {
    for (std::string line; std::getline(std::cin, line);) {
      if (line.find_first_not_of(" \t\r") == std::string::npos)
        continue;
      room.acquire();
      asio::post(loop, [&, text = std::move(line)] { rpc::dispatch(text, *methods, answer); });
    }
    busy.reset();
  }};
  loop.run();
  read.join();
  waiting.join();
  return caf::unit;
}

} // namespace sluice
