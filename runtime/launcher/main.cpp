#include "runtime/cli/output.hpp"
#include "runtime/client/key_maker.hpp"
#include "runtime/launcher/quick_call.hpp"
#include "runtime/launcher/result_text.hpp"
#include "runtime/launcher/whole_program.hpp"
#include "runtime/os/user_name.hpp"

#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <optional>
#include <span>
#include <string>
#include <unistd.h>

namespace {

using namespace sluice;
using namespace sluice::launcher;

bool has_standard_descriptors() {
  return fcntl(STDIN_FILENO, F_GETFD) >= 0 && fcntl(STDOUT_FILENO, F_GETFD) >= 0 && fcntl(STDERR_FILENO, F_GETFD) >= 0;
}

// The exit status; nothing when the whole program has to go on, under the key if there is one.
std::optional<int> answer_quickly(quick_command& command, std::string& key) {
  if (command.agent.empty())
    command.agent = user_name() + '@' + std::to_string(getpid());
  auto generated = command.is_write && command.key.empty();
  auto used = generated ? key_maker{}.next() : command.key;
  auto answered = call_broker(command, used);
  if (generated && answered.sent)
    key = used;
  auto output = output_for(command, answered.line, cli::is_read_by_terminal());
  if (!output)
    return std::nullopt;
  std::fputs(output->err.c_str(), stderr);
  auto printed = command.json ? cli::print_json(output->out) : cli::print(output->out);
  return output->status == cli::done ? cli::status_of(printed) : output->status;
}

} // namespace

int main(int argc, char** argv) {
  std::span<char*> words{argv, static_cast<size_t>(argc)};
  auto command =
    argc > 1 && has_standard_descriptors() ? read_quick_command(words.subspan(1)) : std::optional<quick_command>{};
  std::string key;
  if (command) {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    if (auto status = answer_quickly(*command, key))
      return *status;
    std::signal(SIGPIPE, SIG_DFL);
    std::signal(SIGXFSZ, SIG_DFL);
  }
  return run_whole_program(words, key);
}
