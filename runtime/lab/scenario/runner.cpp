#include "runtime/lab/scenario/runner.hpp"

#include "runtime/json/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <tuple>
#include <utility>

namespace sluice::scenario {

namespace {

using nlohmann::json;

// A failure in the form that expectations use: `error` is its code, and the other fields are beside it.
json failed_answer(const caf::error& error) {
  auto result = as_json(describe(error));
  result["error"] = std::move(result["code"]);
  result.erase("code");
  return result;
}

// The first step that the backend cannot run.
const step* find_impossible(const std::vector<step>& steps, const backend& on) {
  for (const auto& step : steps) {
    if (step.kind->needs_backend && !on.can(step.kind->name))
      return &step;
    if (const auto* inside = find_impossible(step.steps, on))
      return inside;
  }
  return nullptr;
}

} // namespace

const json* runner::kept(const std::string& label) const {
  auto found = answers_.find(label);
  return found == answers_.end() ? nullptr : &found->second;
}

std::optional<json> runner::look_up(std::string_view path, const counts& at) const {
  auto dot = std::min(path.find('.'), path.size());
  auto label = std::string{path.substr(0, dot)};
  if (auto count = at.find(label); count != at.end())
    return json(count->second);
  const auto* answer = kept(label);
  return answer ? part_of(*answer, path.substr(std::min(dot + 1, path.size()))) : std::nullopt;
}

void runner::run_sequence(const std::vector<step>& steps, counts at, on_verdict done) {
  struct sequence {
    const std::vector<step>& steps;
    counts at;
    on_verdict done;
    size_t next = 0;
  };
  auto all = std::make_shared<sequence>(sequence{steps, std::move(at), std::move(done)});
  auto go_on = std::make_shared<std::function<void()>>();
  *go_on = [this, all, weak = std::weak_ptr{go_on}] {
    if (all->next == all->steps.size())
      return all->done({});
    run_step(all->steps[all->next++], all->at, [this, all, again = weak.lock()](verdict found) {
      if (!found.empty())
        return all->done(std::move(found));
      later([again] { (*again)(); });
    });
  };
  (*go_on)();
}

void runner::run_parallel(std::vector<std::pair<const step*, counts>> branches, on_verdict done) {
  struct open_branches {
    size_t count = 0;
    verdict found;
    on_verdict done;

    void end(verdict verdict) {
      found.insert(found.end(), std::make_move_iterator(verdict.begin()), std::make_move_iterator(verdict.end()));
      if (--count == 0)
        done(std::move(found));
    }
  };
  // Counts one more, so that it does not end before all branches have begun.
  auto open = std::make_shared<open_branches>(open_branches{branches.size() + 1, {}, std::move(done)});
  for (auto& [branch, at] : branches)
    run_step(*branch, at, [open](verdict found) { open->end(std::move(found)); });
  open->end({});
}

void runner::run_step(const step& step, const counts& at, on_verdict done) {
  if (step.kind->run_steps)
    return step.kind->run_steps(*this, step, at, std::move(done));
  json fields;
  try {
    fields = resolve(step.fields, [&](std::string_view path) { return look_up(path, at); });
  } catch (const mistake& error) {
    return done({{error.where(), error.what()}});
  }
  if (step.kind->signs)
    fields["agent"] = step.agent;
  auto began = on_.now();
  step.kind->run(*this, step, std::move(fields), [this, &step, at, began, done](caf::expected<json> answer) {
    ended(step, at, began, std::move(answer), done);
  });
}

void runner::ended(const step& step, const counts& at, std::chrono::milliseconds began, caf::expected<json> answer,
                   const on_verdict& done) {
  auto content = answer ? std::move(*answer) : failed_answer(answer.error());
  if (!content.is_object())
    content = json{{"answer", std::move(content)}};
  content["took_ms"] = (on_.now() - began).count();
  if (!step.label.empty())
    answers_[step.label] = content;
  if (options_.on_step)
    options_.on_step(step, content);
  verdict found;
  try {
    found = judge(step, content, !answer, at);
  } catch (const mistake& error) {
    found.push_back({error.where(), error.what()});
  }
  done(std::move(found));
}

verdict runner::judge(const step& step, const json& answer, bool failed, const counts& at) const {
  auto expects_error = step.expect.find("error") != nullptr;
  if (failed && !expects_error)
    return {{step.at, fmt::format("{} failed: {}: {} ({})", title_of(step), answer.at("error").get<std::string>(),
                                  answer.at("message").get<std::string>(), answer.at("outcome").get<std::string>())}};
  auto untimed = answer;
  untimed.erase("took_ms");
  if (!failed && expects_error)
    return {{step.expect.find("error")->at,
             fmt::format("expected {} to fail with {}, but it succeeded: {}", title_of(step),
                         dump(to_json(*step.expect.find("error"))), dump(untimed).substr(0, 300))}};
  verdict found;
  if (step.expect.is(node_kind::map))
    match(
      step.expect, answer, [&](std::string_view path) { return look_up(path, at); }, {}, found);
  for (auto& complaint : found)
    complaint.text = fmt::format("{}: {}", title_of(step), complaint.text);
  return found;
}

report run(const definition& definition, backend& on, const run_options& options) {
  report result;
  if (const auto* step = find_impossible(definition.steps, on)) {
    result.status = report::end::skipped;
    result.complaints.push_back({step->at, fmt::format("needs {}, which {} cannot do: {}", step->kind->name, on.name(),
                                                       *on.unsupported_reason(step->kind->name))});
    return result;
  }
  if (auto wrong = on.prepare(definition.backend)) {
    auto error = describe(wrong->error);
    auto is_wrong = error.code == errc::invalid_request || error.code == errc::sql_error
                    || error.code == errc::constraint || error.code == errc::conflict;
    result.status = is_wrong ? report::end::unusable : report::end::failed;
    result.complaints.push_back({wrong->at, fmt::format("{}: {}", to_string(error.code), error.message)});
    return result;
  }
  auto began = on.now();
  auto ended = false;
  runner running{on, options};
  running.run_sequence(definition.steps, {}, [&](verdict found) {
    result.complaints = std::move(found);
    ended = true;
  });
  auto late = false;
  on.after(options.time_limit, [&late] { late = true; });
  while (!ended && !late && on.pump())
    continue;
  if (!ended)
    result.complaints.push_back({{},
                                 late ? fmt::format("not at its end after {} ms", options.time_limit.count())
                                      : "nothing happens any more, and it is not at its end"});
  result.took = on.now() - began;
  result.status = result.complaints.empty() ? report::end::passed : report::end::failed;
  std::stable_sort(result.complaints.begin(), result.complaints.end(), [](const complaint& a, const complaint& b) {
    return std::tie(a.at.line, a.at.column) < std::tie(b.at.line, b.at.column);
  });
  return result;
}

} // namespace sluice::scenario
