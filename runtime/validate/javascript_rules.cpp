#include "runtime/validate/rules.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace sluice::validate {

namespace {

// How a module opens a database: by which of its names. `default` is the module itself.
struct js_opener {
  std::string_view module;
  std::string_view name;
};

constexpr std::array<js_opener, 17> js_openers{{
  {"better-sqlite3", "default"},
  {"better-sqlite3-multiple-ciphers", "default"},
  {"libsql", "default"},
  {"sqlite3", "Database"},
  {"sqlite3", "cached.Database"},
  {"@vscode/sqlite3", "Database"},
  {"@journeyapps/sqlcipher", "Database"},
  {"sqlite", "open"},
  {"node:sqlite", "DatabaseSync"},
  {"node:sqlite", "Database"},
  {"bun:sqlite", "Database"},
  {"bun:sqlite", "Database.open"},
  {"bun:sqlite", "default"},
  {"node-sqlite3-wasm", "Database"},
  {"jsr:@db/sqlite", "Database"},
  {"https://deno.land/x/sqlite/mod.ts", "DB"},
  {"https://deno.land/x/sqlite3/mod.ts", "Database"},
}};

// Modules that open a database of a kind that a setting names.
constexpr std::array<std::string_view, 6> js_orms{
  "knex", "typeorm", "sequelize", "@mikro-orm/core", "drizzle-kit", "sequelize-typescript"};
constexpr std::array<std::string_view, 4> js_settings{"client", "type", "dialect", "driver"};
constexpr std::array<std::string_view, 4> js_kinds{"sqlite", "sqlite3", "better-sqlite3", "better-sqlite"};

// So many tokens of an import are read, so that the time stays linear.
constexpr size_t longest_import = 1000;

constexpr std::string_view js_in_memory = "sql.js";

template <class List> bool is_one_of(const List& list, std::string_view word) noexcept {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// Between a module and a name in it; no module has it in its name.
constexpr std::string_view in = "#";

// Names are MODULE#NAME; `default`, `*` and `verbose()` stand for the module.
std::string js_name(std::string_view module, std::string_view name) {
  return std::string{module} + std::string{in} + std::string{name == "*" ? "default" : name};
}

// deno.land/x/sqlite@v3.9.1/mod.ts and npm:better-sqlite3@11 without their versions
std::string without_version(std::string_view module) {
  constexpr std::string_view npm = "npm:";
  if (module.starts_with(npm))
    module.remove_prefix(npm.size());
  auto at = module.find('@', 1);
  // The scope of a package begins with it: jsr:@db/sqlite
  if (at != std::string_view::npos && (module[at - 1] == ':' || module[at - 1] == '/'))
    at = module.find('@', at + 1);
  if (at == std::string_view::npos)
    return std::string{module};
  auto rest = module.find('/', at);
  return std::string{module.substr(0, at)} + std::string{rest == std::string_view::npos ? "" : module.substr(rest)};
}

class js_matcher {
public:
  js_matcher(const token_view& tokens, matches& out) : tokens_(tokens), out_(out) {}

  void run() {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (tokens_.is_word(i, "import") && !tokens_.is_symbol(i + 1, '('))
        read_import(i + 1);
      else if ((tokens_.is_word(i, "require") || tokens_.is_word(i, "import")) && tokens_.is_string(i + 2))
        read_require(i);
    }
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (tokens_.is_word(i) && !is_member(tokens_, i, "."))
        match_name(i);
      if (uses_orm_ && tokens_.is_word(i) && is_one_of(js_settings, tokens_[i].text) && tokens_.is_symbol(i + 1, ':')
          && tokens_.is_string(i + 2) && is_one_of(js_kinds, tokens_[i + 2].text))
        out_.push_back(
          {tokens_[i].text, rule::orm, std::string{tokens_[i].text} + ": " + std::string{tokens_[i + 2].text}});
    }
  }

private:
  void know(std::string_view module) {
    uses_orm_ = uses_orm_ || is_one_of(js_orms, module);
    uses_sql_js_ = uses_sql_js_ || module == js_in_memory;
  }

  // import D, { a, b as c } from "m"; import * as N from "m"; import N = require("m") is read as a require.
  void read_import(size_t i) {
    std::vector<std::pair<std::string_view, std::string_view>> names;
    if (tokens_.is_word(i, "type") && !tokens_.is_word(i + 1, "from"))
      return;
    auto in_braces = false;
    for (const auto end = i + longest_import; i < tokens_.size() && !tokens_.is_string(i); ++i) {
      if (i == end)
        return;
      if (tokens_.is_symbol(i, '{') || tokens_.is_symbol(i, '}'))
        in_braces = tokens_.is_symbol(i, '{');
      else if (!in_braces && tokens_.is_word(i, "from") && !names.empty())
        continue;
      else if (tokens_.is_word(i + 1, "as") && tokens_.is_word(i + 2)) {
        names.emplace_back(tokens_[i + 2].text, tokens_[i].text);
        i += 2;
      } else if (tokens_.is_word(i))
        names.emplace_back(tokens_[i].text, in_braces ? tokens_[i].text : "default");
      else if (!tokens_.is_symbol(i, ',') && !tokens_.is_symbol(i, '*'))
        return;
    }
    auto module = without_version(tokens_[i].text);
    know(module);
    for (const auto& [local, name] : names)
      names_.bind(local, js_name(module, name));
  }

  // N = [await] require("m")[.verbose()][.member]; { a, b: c } = require("m"); require("m")(...)
  void read_require(size_t i) {
    auto module = without_version(tokens_[i + 2].text);
    know(module);
    auto end = i + 4;
    auto begin = i;
    while (begin > 0 && (tokens_.is_word(begin - 1, "await") || tokens_.is_symbol(begin - 1, '('))) {
      if (tokens_.is_symbol(begin - 1, '(') && tokens_.is_symbol(end, ')'))
        ++end;
      --begin;
    }
    std::string name = "default";
    while (tokens_.is_symbol(end, '.') && tokens_.is_word(end + 1)) {
      auto member = tokens_[end + 1].text;
      end += 2;
      if (member == "verbose" && tokens_.is_symbol(end, '('))
        end += 2;
      else
        name = name == "default" ? std::string{member} : name + "." + std::string{member};
    }
    if (begin > 0 && tokens_.is_symbol(begin - 1, '='))
      return bind_left_of(begin - 1, module, name);
    if (tokens_.is_symbol(end, '(') && opens(module, name) && !opens_private(end))
      out_.push_back({tokens_[i].text, rule::js_module, "require(\"" + module + "\")"});
  }

  void bind_left_of(size_t equals, const std::string& module, const std::string& name) {
    if (equals == 0)
      return;
    if (tokens_.is_word(equals - 1))
      return names_.bind(tokens_[equals - 1].text, js_name(module, name));
    if (!tokens_.is_symbol(equals - 1, '}'))
      return;
    const auto begin = equals > longest_import ? equals - longest_import : 0;
    for (auto i = equals - 1; i > begin && !tokens_.is_symbol(i, '{'); --i) {
      if (!tokens_.is_word(i))
        continue;
      auto is_renamed = tokens_.is_symbol(i - 1, ':') && i > 1;
      names_.bind(tokens_[i].text, js_name(module, tokens_[is_renamed ? i - 2 : i].text));
      i -= is_renamed ? 2 : 0;
    }
  }

  static bool opens(std::string_view module, std::string_view name) {
    return std::any_of(js_openers.begin(), js_openers.end(),
                       [&](const js_opener& x) { return x.module == module && x.name == name; });
  }

  // Without an argument, a database is in memory.
  bool opens_private(size_t open) const {
    return tokens_.is_symbol(open + 1, ')') || opens_memory(tokens_, open)
           || (tokens_.is_string(open + 1) && tokens_[open + 1].text.empty());
  }

  void match_name(size_t i) {
    auto chain = chain_at(tokens_, i, ".");
    auto open = chain.end;
    // new Database<Row>(...) of TypeScript
    if (tokens_.is_symbol(open, '<') && tokens_.is_symbol(open + 2, '>'))
      open += 3;
    if (!tokens_.is_symbol(open, '(') || opens_private(open))
      return;
    auto is_new = i > 0 && tokens_.is_word(i - 1, "new");
    if (uses_sql_js_ && is_new && chain.parts.size() == 2 && chain.parts.back() == "Database")
      return out_.push_back({tokens_[i].text, rule::js_module, joined(chain.parts, ".")});
    for (auto name : names_.resolve(chain.parts, ".")) {
      auto mark = name.find(in);
      auto module = name.substr(0, mark);
      auto member = mark == std::string::npos ? "" : name.substr(mark + in.size());
      // A member of the module itself, which may be its default, too: sqlite3.default.Database
      while (member.starts_with("default."))
        member.erase(0, std::string_view{"default."}.size());
      if (opens(module, member))
        out_.push_back({tokens_[i].text, rule::js_module, joined(chain.parts, ".")});
    }
  }

  const token_view& tokens_;
  matches& out_;
  imported_names names_;
  bool uses_orm_ = false;
  bool uses_sql_js_ = false;
};

} // namespace

void match_javascript(const token_view& tokens, matches& out) { js_matcher{tokens, out}.run(); }

} // namespace sluice::validate
