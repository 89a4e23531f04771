#include "runtime/cli/output.hpp"
#include "runtime/client/key_maker.hpp"
#include "runtime/launcher/candidate.hpp"
#include "runtime/launcher/main_program.hpp"
#include "runtime/launcher/quick_call.hpp"
#include "runtime/launcher/result_text.hpp"
#include "runtime/os/user_name.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fcntl.h>
#include <optional>
#include <span>
#include <string>
#include <unistd.h>

namespace {

using namespace sluice;
using namespace sluice::launcher;

constexpr std::chrono::milliseconds longest_start{2'000};

bool has_standard_descriptors() {
  return fcntl(STDIN_FILENO, F_GETFD) >= 0 && fcntl(STDOUT_FILENO, F_GETFD) >= 0 && fcntl(STDERR_FILENO, F_GETFD) >= 0;
}

// If no broker listens, starts one and asks again.
quick_answer call_or_start_broker(quick_command& command, const std::string& key) {
  using std::chrono::milliseconds;
  using std::chrono::steady_clock;
  auto answered = call_broker(command, key);
  if (!answered.absent || access((command.root + command.db).c_str(), F_OK) != 0)
    return answered;
  // If it fails, the main program has the whole time limit once more.
  auto begin = steady_clock::now();
  auto timeout = command.time_ms > 0 ? std::min(longest_start, milliseconds{command.time_ms / 10}) : longest_start;
  if (!start_candidate(command.root, timeout))
    return answered;
  if (command.time_ms > 0)
    command.time_ms -= static_cast<uint32_t>(
      std::min(timeout, std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin)).count());
  return call_broker(command, key);
}

// The exit status; nothing when the main program must continue, with the request if it was sent.
std::optional<int> answer_quickly(quick_command& command, std::optional<sent_request>& sent) {
  if (command.agent.empty())
    command.agent = user_name() + '@' + std::to_string(getpid());
  auto generates = command.is_write && command.key.empty();
  auto key = generates ? key_maker{}.next() : command.key;
  auto begin = std::chrono::steady_clock::now();
  auto answered = call_or_start_broker(command, key);
  if (answered.sent) {
    auto waited = std::chrono::steady_clock::now() - begin;
    sent = {generates ? key : std::string{}, std::chrono::duration_cast<std::chrono::milliseconds>(waited),
            answered.silent};
  }
  auto output = output_for(command, answered.line, cli::is_read_by_terminal());
  if (!output)
    return std::nullopt;
  auto printed = command.json ? cli::print_json(output->out) : cli::print(output->out);
  std::fputs(output->err.c_str(), stderr);
  return printed == cli::delivery::failed && output->status != cli::failed ? cli::failed : output->status;
}

// If memory is lacking for its answer, a write may have been applied.
std::optional<int> answer_quickly_if_possible(quick_command& command, std::optional<sent_request>& sent) {
  try {
    return answer_quickly(command, sent);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

} // namespace

int main(int argc, char** argv) {
  std::span<char*> words{argv, static_cast<size_t>(argc)};
  auto command =
    argc > 1 && has_standard_descriptors() ? read_quick_command(words.subspan(1)) : std::optional<quick_command>{};
  std::optional<sent_request> sent;
  if (command) {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    if (auto status = answer_quickly_if_possible(*command, sent))
      return *status;
    std::signal(SIGPIPE, SIG_DFL);
    std::signal(SIGXFSZ, SIG_DFL);
  }
  return run_main_program(words, sent);
}
