#include "runtime/store/live_policy.hpp"

#include "runtime/store/config.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

namespace sluice {

namespace {

constexpr std::chrono::milliseconds max_policy_age{100};

struct file_state {
  // Equal texts mean the same file.
  std::string text;
  std::chrono::system_clock::time_point changed{};
};

file_state state_of_settings(const std::filesystem::path& root) {
  struct stat info {};
  if (stat((root / "sluice.toml").c_str(), &info) != 0)
    return {std::generic_category().message(errno)};
  auto changed = std::chrono::seconds{info.st_mtim.tv_sec} + std::chrono::nanoseconds{info.st_mtim.tv_nsec};
  return {
    fmt::format("{} {} {}.{} {}.{} {}", info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec,
                info.st_ctim.tv_sec, info.st_ctim.tv_nsec, info.st_mode),
    std::chrono::system_clock::time_point{std::chrono::duration_cast<std::chrono::system_clock::duration>(changed)}};
}

} // namespace

struct live_policy::news {
  std::string text;
  bool is_mistake = false;
};

live_policy::live_policy(const std::filesystem::path& root, std::shared_ptr<const access_policy> first,
                         const clock& time)
  : root_(root), time_(time), gate_(std::move(first), time),
    next_check_((time.now() + max_policy_age).time_since_epoch().count()),
    state_of_file_(state_of_settings(root).text) {}

admission live_policy::admit(const principal& who, const access_demand& what) {
  refresh_if_due();
  return gate_.admit(who, what);
}

std::shared_ptr<const access_policy> live_policy::current() {
  refresh_if_due();
  return gate_.policy();
}

std::optional<failure> live_policy::mistake() const {
  std::lock_guard held{mutex_};
  return mistake_;
}

void live_policy::refresh_if_due() {
  auto now = time_.now();
  auto due = next_check_.load(std::memory_order_relaxed);
  if (now.time_since_epoch().count() < due)
    return;
  // One of several threads looks.
  if (!next_check_.compare_exchange_strong(due, (now + max_policy_age).time_since_epoch().count()))
    return;
  auto found = refresh();
  if (!found)
    return;
  if (changed_)
    changed_(found->text, found->is_mistake);
  std::lock_guard held{other_mutex_};
  if (!found->is_mistake && other_)
    other_();
}

std::optional<live_policy::news> live_policy::refresh() {
  std::lock_guard held{mutex_};
  // Before the file is read: a change in between is found the next time.
  auto state = state_of_settings(root_);
  if (state.text == state_of_file_)
    return std::nullopt;
  // Its writer may not be done: half of a rule may be read without its uid or token.
  auto age = time_.wall_now() - state.changed;
  if (age >= std::chrono::seconds{0} && age < max_policy_age)
    return std::nullopt;
  return load(state.text);
}

std::optional<live_policy::news> live_policy::load(const std::string& state) {
  auto loaded = load_policy(root_);
  // Whatever the system refused may work the next time.
  if (loaded || code_of(loaded.error()) == errc::invalid_request)
    state_of_file_ = state;
  auto before = std::exchange(mistake_, std::nullopt);
  if (!loaded)
    mistake_ = describe(loaded.error());
  else if (!(*loaded)->exists() && gate_.policy()->exists())
    mistake_ = make_failure(errc::invalid_request, "sluice.toml has no [policy] any more; the earlier one is in force "
                                                   "until the broker starts again");
  if (mistake_ && before && before->message == mistake_->message)
    return std::nullopt;
  if (mistake_)
    return news{mistake_->message, true};
  if ((*loaded)->hash() == gate_.policy()->hash())
    return std::nullopt;
  auto text = "another policy is in force: " + (*loaded)->hash();
  gate_.replace(std::move(*loaded));
  return news{std::move(text), false};
}

} // namespace sluice
