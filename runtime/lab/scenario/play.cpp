#include "runtime/lab/scenario/play.hpp"

#include "runtime/json/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <tuple>
#include <utility>

namespace sluice::scenario {

namespace {

using nlohmann::json;

// A failure as expectations see it: `error` is its code, and the rest lies beside it.
json failed_answer(const caf::error& why) {
  auto result = as_json(describe(why));
  result["error"] = std::move(result["code"]);
  result.erase("code");
  return result;
}

// The first step that the backend cannot run.
const step* find_impossible(const std::vector<step>& steps, const backend& on) {
  for (const auto& x : steps) {
    if (x.kind->needs_stage && !on.can(x.kind->name))
      return &x;
    if (const auto* inside = find_impossible(x.steps, on))
      return inside;
  }
  return nullptr;
}

} // namespace

const json* play::kept(const std::string& label) const {
  auto found = answers_.find(label);
  return found == answers_.end() ? nullptr : &found->second;
}

std::optional<json> play::look_up(std::string_view path, const counts& at) const {
  auto dot = std::min(path.find('.'), path.size());
  auto label = std::string{path.substr(0, dot)};
  if (auto count = at.find(label); count != at.end())
    return json(count->second);
  const auto* answer = kept(label);
  return answer ? part_of(*answer, path.substr(std::min(dot + 1, path.size()))) : std::nullopt;
}

void play::run_sequence(const std::vector<step>& steps, counts at, on_verdict done) {
  struct sequence {
    const std::vector<step>& steps;
    counts at;
    on_verdict done;
    size_t next = 0;
  };
  auto x = std::make_shared<sequence>(sequence{steps, std::move(at), std::move(done)});
  auto go_on = std::make_shared<std::function<void()>>();
  *go_on = [this, x, weak = std::weak_ptr{go_on}] {
    if (x->next == x->steps.size())
      return x->done({});
    run_step(x->steps[x->next++], x->at, [this, x, again = weak.lock()](verdict found) {
      if (!found.empty())
        return x->done(std::move(found));
      later([again] { (*again)(); });
    });
  };
  (*go_on)();
}

void play::run_parallel(std::vector<std::pair<const step*, counts>> branches, on_verdict done) {
  struct open_branches {
    size_t count = 0;
    verdict found;
    on_verdict done;

    void end(verdict x) {
      found.insert(found.end(), std::make_move_iterator(x.begin()), std::make_move_iterator(x.end()));
      if (--count == 0)
        done(std::move(found));
    }
  };
  // One more, so that nothing ends before all have begun.
  auto open = std::make_shared<open_branches>(open_branches{branches.size() + 1, {}, std::move(done)});
  for (auto& [branch, at] : branches)
    run_step(*branch, at, [open](verdict found) { open->end(std::move(found)); });
  open->end({});
}

void play::run_step(const step& what, const counts& at, on_verdict done) {
  if (what.kind->run_steps)
    return what.kind->run_steps(*this, what, at, std::move(done));
  json fields;
  try {
    fields = resolve(what.fields, [&](std::string_view path) { return look_up(path, at); });
  } catch (const mistake& x) {
    return done({{x.where(), x.what()}});
  }
  if (what.kind->signs)
    fields["agent"] = what.agent;
  auto began = on_.now();
  what.kind->run(*this, what, std::move(fields), [this, &what, at, began, done](caf::expected<json> answer) {
    ended(what, at, began, std::move(answer), done);
  });
}

void play::ended(const step& what, const counts& at, std::chrono::milliseconds began, caf::expected<json> answer,
                 const on_verdict& done) {
  auto content = answer ? std::move(*answer) : failed_answer(answer.error());
  if (!content.is_object())
    content = json{{"answer", std::move(content)}};
  content["took_ms"] = (on_.now() - began).count();
  if (!what.label.empty())
    answers_[what.label] = content;
  if (options_.on_step)
    options_.on_step(what, content);
  verdict found;
  try {
    found = judge(what, content, !answer, at);
  } catch (const mistake& x) {
    found.push_back({x.where(), x.what()});
  }
  done(std::move(found));
}

verdict play::judge(const step& what, const json& answer, bool failed, const counts& at) const {
  auto expects_error = what.expect.find("error") != nullptr;
  if (failed && !expects_error)
    return {{what.at, fmt::format("{} failed: {}: {} ({})", title_of(what), answer.at("error").get<std::string>(),
                                  answer.at("message").get<std::string>(), answer.at("outcome").get<std::string>())}};
  auto told = answer;
  told.erase("took_ms");
  if (!failed && expects_error)
    return {{what.expect.find("error")->at,
             fmt::format("expected {} to fail with {}, but it succeeded: {}", title_of(what),
                         dump(to_json(*what.expect.find("error"))), dump(told).substr(0, 300))}};
  verdict found;
  if (what.expect.is(node_kind::map))
    match(
      what.expect, answer, [&](std::string_view path) { return look_up(path, at); }, {}, found);
  for (auto& x : found)
    x.text = fmt::format("{}: {}", title_of(what), x.text);
  return found;
}

report run(const story& what, backend& on, const play_options& options) {
  report result;
  if (const auto* x = find_impossible(what.steps, on)) {
    result.status = report::end::skipped;
    result.complaints.push_back(
      {x->at, fmt::format("needs {}, which {} cannot do: {}", x->kind->name, on.name(), *on.why_not(x->kind->name))});
    return result;
  }
  if (auto wrong = on.prepare(what.backend)) {
    auto why = describe(wrong->why);
    auto is_wrong = why.code == errc::invalid_request || why.code == errc::sql_error || why.code == errc::constraint;
    result.status = is_wrong ? report::end::unusable : report::end::failed;
    result.complaints.push_back({wrong->at, fmt::format("{}: {}", to_string(why.code), why.message)});
    return result;
  }
  auto began = on.now();
  auto ended = false;
  play x{on, options};
  x.run_sequence(what.steps, {}, [&](verdict found) {
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
