#pragma once

#include "runtime/server/rpc/failures.hpp"
#include "runtime/server/rpc/handler.hpp"

#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace sluice::rpc {

/// A handler whose methods answer as their names say, and that records its calls.
class fake_handler : public handler {
public:
  struct made_call {
    std::string method;
    nlohmann::json params;
  };

  std::vector<made_call> calls;
  std::vector<std::optional<nlohmann::json>> ids;
  /// Calls of `later`, to be answered by the test.
  std::deque<answer_to> waiting;
  /// The answer of all methods without a rule of their own; if empty, they are unknown methods.
  std::optional<answer> always;

  bool quotes_texts = false;

  void quote_texts() override { quotes_texts = true; }
  void set_request_id(const nlohmann::json* id) override { ids.push_back(id ? std::optional{*id} : std::nullopt); }

  void call(const std::string& method, nlohmann::json params, answer_to done) override {
    calls.push_back({method, params});
    if (method == "echo")
      return done({std::move(params), {}});
    if (method == "later")
      return waiting.push_back(std::move(done));
    if (method == "throw")
      throw std::runtime_error("a secret of the broker's own");
    if (method == "twice") {
      done({1, {}});
      return done({2, {}});
    }
    if (method == "answer and throw") {
      done({1, {}});
      throw std::runtime_error("too late");
    }
    if (always)
      return done(*always);
    done({nullptr, unknown_method(method)});
  }
};

} // namespace sluice::rpc
