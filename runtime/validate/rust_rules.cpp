#include "runtime/validate/rules.hpp"

#include <algorithm>
#include <array>

namespace sluice::validate {

namespace {

// A function that opens a database, by the last two parts of its path.
struct rust_opener {
  std::string_view type;
  // What its name begins with.
  std::string_view function;
};

// Types whose names say that they are of SQLite, wherever they come from: sqlx, diesel, r2d2.
constexpr std::array<rust_opener, 9> rust_openers{{
  {"SqliteConnection", "connect"},
  {"SqliteConnection", "establish"},
  {"SqlitePool", "connect"},
  {"SqlitePoolOptions", "new"},
  {"SqliteConnectOptions", "new"},
  {"SqliteConnectOptions", "from_str"},
  {"SqliteConnectionManager", "file"},
  {"SqliteConnectionManager", "new"},
  {"SqliteStorage", "open"},
}};

// Crates whose `Connection::open` or `open` does.
constexpr std::array<std::string_view, 6> rust_crates{"rusqlite",     "tokio_rusqlite", "async_rusqlite",
                                                      "async_sqlite", "sqlite",         "libsql"};

class rust_matcher {
public:
  rust_matcher(const token_view& tokens, matches& out) : tokens_(tokens), out_(out), is_use_(tokens.size(), false) {}

  void run() {
    for (size_t i = 0; i < tokens_.size(); ++i)
      read_name(i);
    for (size_t i = 0; i < tokens_.size(); ++i)
      if (tokens_.is_word(i) && !is_use_[i] && !is_member(tokens_, i, "::"))
        match_name(i);
  }

private:
  void read_name(size_t& i) {
    auto begin = i;
    if (tokens_.is_word(i, "use")) {
      ++i;
      read_tree(i, "", 0);
    } else if (tokens_.is_word(i, "extern") && tokens_.is_word(i + 1, "crate") && tokens_.is_word(i + 3, "as")) {
      names_.bind(tokens_[i + 4].text, std::string{tokens_[i + 2].text});
      i += 4;
    } else if (tokens_.is_word(i, "type") && tokens_.is_symbol(i + 2, '=') && tokens_.is_word(i + 3)) {
      names_.bind(tokens_[i + 1].text, joined(chain_at(tokens_, i + 3, "::").parts, "::"));
      i += 3;
    } else {
      return;
    }
    for (auto each = begin; each < std::min(i, tokens_.size()); ++each)
      is_use_[each] = true;
    // The caller goes on with the next token.
    i = std::max(begin, std::min(i, tokens_.size()) - 1);
  }

  // a::b, a::*, a as b, a::{b, c as d}; ends behind the tree.
  void read_tree(size_t& i, std::string path, size_t depth) {
    constexpr size_t deepest = 32;
    auto extend = [&](std::string_view part) {
      if (part != "self" || path.empty())
        path += (path.empty() ? "" : "::") + std::string{part};
    };
    for (; i < tokens_.size(); ++i) {
      if (tokens_.is_word(i, "as") && tokens_.is_word(i + 1)) {
        names_.bind(tokens_[i + 1].text, path);
        i += 2;
        return;
      }
      if (tokens_.is_word(i))
        extend(tokens_[i].text);
      else if (tokens_.is_symbol(i, '*'))
        return names_.bind_all(path);
      else if (tokens_.is_symbol(i, '{') && depth < deepest)
        return read_group(i, path, depth);
      else if (!tokens_.is_symbol(i, ':'))
        break;
    }
    // Without `as` the name is the last part of the path; `self` stands for the path before it.
    if (auto last = path.rfind("::"); last != std::string::npos)
      names_.bind(path.substr(last + 2), path);
  }

  void read_group(size_t& i, const std::string& path, size_t depth) {
    for (++i; i < tokens_.size() && !tokens_.is_symbol(i, '}') && !tokens_.is_symbol(i, ';');) {
      auto before = i;
      read_tree(i, path, depth + 1);
      if (tokens_.is_symbol(i, ',') || i == before)
        ++i;
    }
    if (tokens_.is_symbol(i, '}'))
      ++i;
  }

  void match_name(size_t i) {
    auto chain = chain_at(tokens_, i, "::");
    if (opens_memory(tokens_, chain.end))
      return;
    auto candidates = names_.resolve(chain.parts, "::");
    candidates.push_back(joined(chain.parts, "::"));
    if (std::any_of(candidates.begin(), candidates.end(), [](const std::string& x) { return opens(x); }))
      out_.push_back({tokens_[i].text, rule::rust_crate, joined(chain.parts, "::")});
  }

  static bool opens(std::string_view path) {
    auto last = path.rfind("::");
    if (last == std::string_view::npos)
      return false;
    auto function = path.substr(last + 2);
    auto scope = path.substr(0, last);
    auto type = scope.substr(scope.rfind(':') + 1);
    for (const auto& opener : rust_openers)
      if (type == opener.type && function.starts_with(opener.function))
        return true;
    auto crate = path.substr(0, path.find("::"));
    auto is_open = function == "open" || function == "open_with_flags" || function == "open_with_flags_and_vfs"
                   || function == "open_thread_safe";
    return is_open && std::find(rust_crates.begin(), rust_crates.end(), crate) != rust_crates.end();
  }

  const token_view& tokens_;
  matches& out_;
  imported_names names_;
  std::vector<bool> is_use_;
};

} // namespace

void match_rust(const token_view& tokens, matches& out) { rust_matcher{tokens, out}.run(); }

} // namespace sluice::validate
