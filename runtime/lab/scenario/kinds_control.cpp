#include "runtime/lab/scenario/kinds.hpp"

#include "messages/error.hpp"
#include "runtime/json/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

namespace sluice::scenario {

namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using enum field_type;

constexpr milliseconds first_pause{2};
constexpr milliseconds longest_pause{50};

int64_t number_in(const node& fields, std::string_view name, int64_t otherwise) {
  const auto* field = fields.find(name);
  return field ? field->integer : otherwise;
}

void check_wait(const node& fields) {
  const auto* time = fields.find("for_ms");
  const auto* until = fields.find("until");
  if (!time == !until)
    throw mistake{fields.at, "wait needs either for_ms: a time, or until: a step that has to go as expected"};
  if (const auto* within = fields.find("within_ms"); within && time)
    throw mistake{within->at, "within_ms belongs to until"};
}

// Repeats a step until it meets its expectation.
class retrying : public std::enable_shared_from_this<retrying> {
public:
  retrying(runner& in, const step& step, counts at, on_verdict done)
    : in_(in), step_(step), at_(std::move(at)), done_(std::move(done)), began_(in.on().now()),
      limit_(number_in(step.fields, "within_ms", 10'000)) {}

  void attempt() {
    in_.run_step(step_.steps.front(), at_,
                 [self = shared_from_this()](verdict found) { self->judge(std::move(found)); });
  }

private:
  void judge(verdict found) {
    if (found.empty())
      return done_({});
    if (in_.on().now() - began_ >= limit_) {
      for (auto& complaint : found)
        complaint.text = fmt::format("not within {} ms: {}", limit_.count(), complaint.text);
      return done_(std::move(found));
    }
    in_.on().after(pause_, [self = shared_from_this()] { self->attempt(); });
    pause_ = std::min(2 * pause_, longest_pause);
  }

  runner& in_;
  const step& step_;
  counts at_;
  on_verdict done_;
  milliseconds began_;
  milliseconds limit_;
  milliseconds pause_ = first_pause;
};

void wait(runner& in, const step& step, const counts& at, on_verdict done) {
  if (step.steps.empty())
    return in.on().after(milliseconds{number_in(step.fields, "for_ms", 0)}, [done = std::move(done)] { done({}); });
  std::make_shared<retrying>(in, step, at, std::move(done))->attempt();
}

void in_sequence(runner& in, const step& step, const counts& at, on_verdict done) {
  in.run_sequence(step.steps, at, std::move(done));
}

void in_parallel(runner& in, const step& parallel, const counts& at, on_verdict done) {
  std::vector<std::pair<const step*, counts>> branches;
  for (const auto& step : parallel.steps)
    branches.emplace_back(&step, at);
  in.run_parallel(std::move(branches), std::move(done));
}

counts repeated_step(const step& step, counts at, int64_t i) {
  if (const auto* name = step.fields.find("as"))
    at[name->text] = i;
  return at;
}

void repeat_from(runner& in, const step& step, const counts& at, int64_t i, on_verdict done) {
  if (i > number_in(step.fields, "times", 0))
    return done({});
  in.run_sequence(step.steps, repeated_step(step, at, i), [&in, &step, at, i, done = std::move(done)](verdict found) {
    if (!found.empty())
      return done(std::move(found));
    in.later([&in, &step, at, i, done] { repeat_from(in, step, at, i + 1, done); });
  });
}

void repeat(runner& in, const step& step, const counts& at, on_verdict done) {
  const auto* at_once = step.fields.find("at_once");
  if (!at_once || !at_once->boolean)
    return repeat_from(in, step, at, 1, std::move(done));
  auto open = std::make_shared<std::pair<int64_t, verdict>>(number_in(step.fields, "times", 0), verdict{});
  for (int64_t i = 1, times = open->first; i <= times; ++i)
    in.run_sequence(step.steps, repeated_step(step, at, i), [open, done](verdict found) {
      auto& [left, all] = *open;
      all.insert(all.end(), found.begin(), found.end());
      if (--left == 0)
        done(std::move(all));
    });
}

step_kind group(std::string_view name, std::string_view about, std::vector<field> fields,
                decltype(step_kind::run_steps) run) {
  step_kind kind;
  kind.name = name;
  kind.about = about;
  kind.fields = std::move(fields);
  kind.run_steps = run;
  return kind;
}

step_kind make_wait() {
  auto kind = group("wait", "Until something holds, or for some time",
                    {{"until", field_type::one_step, "A step, tried again until it goes as expected"},
                     {"within_ms", whole, "When that has failed; 10000 if left out", false, 1, day_ms},
                     {"for_ms", whole, "Just so long", false, 0, day_ms}},
                    wait);
  kind.check = check_wait;
  return kind;
}

// Each commit comes after the one before it in the list.
void check_order(runner& in, const step& step, json fields, on_answer done) {
  int64_t last = 0;
  std::string before;
  json order = json::array();
  for (const auto& label : fields.at("of")) {
    auto name = label.get<std::string>();
    const auto* answer = in.kept(name);
    auto seq = answer ? part_of(*answer, "commit_seq") : std::nullopt;
    if (!seq || !seq->is_number_integer())
      return done(make_error(errc::invalid_request, fmt::format("{} is no write that was committed", name)));
    order.push_back(*seq);
    if (seq->get<int64_t>() < last)
      return done(
        make_error(errc::invalid_request, fmt::format("expected {} before {}, but they are the commits {} and {}",
                                                      before, name, last, seq->get<int64_t>())));
    last = seq->get<int64_t>();
    before = name;
  }
  static_cast<void>(step);
  done(json{{"commits", std::move(order)}});
}

step_kind make_order() {
  step_kind kind;
  kind.name = "order";
  kind.about = "The writes whose answers are kept under these names were committed in this order";
  kind.fields = {{"of", texts, "The names, first to last", true}};
  kind.short_for = "of";
  kind.answers = {"commits"};
  kind.run = check_order;
  return kind;
}

} // namespace

std::vector<step_kind> control_kinds() {
  const field inside{"steps", step_list, "The steps", true};
  auto together = group("parallel", "Steps that are begun at once; it ends when all have", {inside}, in_parallel);
  auto one_by_one = group("sequence", "Steps one after the other, as a branch of parallel", {inside}, in_sequence);
  together.short_for = one_by_one.short_for = "steps";
  auto again = group("repeat", "Steps that are done several times",
                     {{"times", whole, "How often", true, 1, 10'000},
                      inside,
                      {"as", text, "The name of the count, from 1: $(NAME)"},
                      {"at_once", boolean, "All times at once, instead of one after the other"}},
                     repeat);
  return {make_wait(), std::move(again), std::move(together), std::move(one_by_one), make_order()};
}

} // namespace sluice::scenario
