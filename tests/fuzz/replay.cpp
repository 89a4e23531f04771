// Runs a target on its corpus, and on a number of mutations of it from a seed; without libFuzzer, for CI.
//
//   fuzz_replay TARGET PATH... [--mutations N] [--seed S]      files, or folders of them

#include "tests/fuzz/targets.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

// A function of the sanitizers, where they are linked.
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace sluice::test::fuzz {

namespace {

constexpr size_t longest = 4096;

// The current input, to be saved if it ends the process.
std::string current;
constexpr const char* crash_file = "fuzz-crash";

void keep_current() {
  auto file = open(crash_file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0 || write(file, current.data(), current.size()) < 0)
    return;
  constexpr char text[] = "the input is in the file fuzz-crash\n";
  [[maybe_unused]] auto ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
}

void on_abort(int) { keep_current(); }

std::vector<std::string> corpus_of(const std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  for (const auto& path : paths)
    if (fs::is_directory(path))
      for (const auto& entry : fs::directory_iterator{path})
        files.push_back(entry.path());
    else
      files.emplace_back(path);
  // Sorts the files, so that a seed gives the same mutations everywhere.
  std::sort(files.begin(), files.end());
  std::vector<std::string> result;
  for (const auto& file : files) {
    std::ifstream in{file, std::ios::binary};
    result.emplace_back(std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{});
    if (!in.is_open())
      throw std::runtime_error(file.string() + " cannot be read");
  }
  return result;
}

class mutator {
public:
  mutator(const std::vector<std::string>& corpus, uint64_t seed) : corpus_(corpus), random_(seed) {}

  std::string next() {
    auto result = any();
    for (auto i = 1 + below(4); i > 0; --i)
      change(result);
    result.resize(std::min(result.size(), longest));
    return result;
  }

private:
  size_t below(size_t bound) { return bound ? random_() % bound : 0; }
  const std::string& any() { return corpus_[below(corpus_.size())]; }

  void change(std::string& text) {
    static const std::string special{"\0\x01\x7f\x80\xff\"\\{}[]:,.-+eE0159\n\t #", 25};
    auto at = below(text.size() + 1);
    auto length = below(std::min<size_t>(text.size() - at, 32) + 1);
    switch (below(7)) {
    case 0:
      if (at < text.size())
        text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
      break;
    case 1: text.insert(at, 1, special[below(special.size())]); break;
    case 2:
      if (at < text.size())
        text[at] = special[below(special.size())];
      break;
    case 3: text.erase(at, length); break;
    case 4: text.insert(at, text.substr(at, length)); break;
    case 5: {
      const auto& other = any();
      auto from = below(other.size() + 1);
      text.insert(at, other.substr(from, below(64)));
      break;
    }
    default: {
      const auto& other = any();
      text = text.substr(0, at) + other.substr(below(other.size() + 1));
    }
    }
  }

  const std::vector<std::string>& corpus_;
  std::mt19937_64 random_;
};

int run(const target& chosen, const std::vector<std::string>& paths, size_t mutations, uint64_t seed) {
  auto corpus = corpus_of(paths);
  if (corpus.empty()) {
    std::cerr << "there is no corpus\n";
    return 2;
  }
  auto run_one = [&](std::string input) {
    current = std::move(input);
    chosen.run(current);
  };
  for (const auto& corpu : corpus)
    run_one(corpu);
  mutator next{corpus, seed};
  for (size_t i = 0; i < mutations; ++i)
    run_one(next.next());
  std::cout << chosen.name << ": " << corpus.size() << " kept inputs and " << mutations << " mutations (seed " << seed
            << ")\n";
  return 0;
}

int main_of(const std::vector<std::string>& words) {
  std::vector<std::string> paths;
  size_t mutations = 0;
  uint64_t seed = 1;
  for (size_t i = 1; i < words.size(); ++i)
    if (words[i] == "--mutations" && i + 1 < words.size())
      mutations = std::stoul(words[++i]);
    else if (words[i] == "--seed" && i + 1 < words.size())
      seed = std::stoull(words[++i]);
    else
      paths.push_back(words[i]);
  auto chosen =
    std::find_if(targets.begin(), targets.end(), [&](const target& x) { return !words.empty() && x.name == words[0]; });
  if (chosen == targets.end() || paths.empty()) {
    std::cerr << "usage: fuzz_replay TARGET PATH... [--mutations N] [--seed S]; the targets are";
    for (const auto& each : targets)
      std::cerr << " " << each.name;
    std::cerr << "\n";
    return 2;
  }
  if (__sanitizer_set_death_callback)
    __sanitizer_set_death_callback(keep_current);
  std::signal(SIGABRT, on_abort);
  return run(*chosen, paths, mutations, seed);
}

} // namespace

} // namespace sluice::test::fuzz

int main(int argc, char** argv) {
  try {
    return sluice::test::fuzz::main_of({argv + 1, argv + argc});
  } catch (const std::invalid_argument&) {
    std::cerr << "--mutations and --seed take numbers\n";
    return 2;
  }
}
