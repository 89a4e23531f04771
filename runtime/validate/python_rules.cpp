#include "runtime/validate/rules.hpp"

#include <algorithm>
#include <array>

namespace sluice::validate {

namespace {

struct python_opener {
  std::string_view name;
  std::string_view rule;
  // Its name without a call opens nothing: an annotation, for example.
  bool is_type = false;
};

constexpr std::array<python_opener, 17> python_openers{{
  {"sqlite3.connect", rule::python_module},
  {"sqlite3.Connection", rule::python_module, true},
  {"sqlite3.dbapi2.connect", rule::python_module},
  {"sqlite3.dbapi2.Connection", rule::python_module, true},
  {"pysqlite3.connect", rule::python_module},
  {"pysqlite3.dbapi2.connect", rule::python_module},
  {"sqlcipher3.connect", rule::python_module},
  {"sqlcipher3.dbapi2.connect", rule::python_module},
  {"aiosqlite.connect", rule::python_module},
  {"apsw.Connection", rule::python_module, true},
  {"sqlite_utils.Database", rule::python_module, true},
  {"sqlitedict.SqliteDict", rule::python_module, true},
  {"peewee.SqliteDatabase", rule::orm, true},
  {"playhouse.sqlite_ext.SqliteExtDatabase", rule::orm, true},
  {"playhouse.sqliteq.SqliteQueueDatabase", rule::orm, true},
  {"playhouse.apsw_ext.APSWDatabase", rule::orm, true},
  {"playhouse.pool.PooledSqliteDatabase", rule::orm, true},
}};

// A module that is loaded by a name in a text.
constexpr std::array<std::string_view, 3> python_modules{"sqlite3", "aiosqlite", "apsw"};

class python_matcher {
public:
  python_matcher(const token_view& tokens, matches& out)
    : tokens_(tokens), out_(out), is_import_(tokens.size(), false) {}

  void run() {
    for (size_t i = 0; i < tokens_.size();)
      i = read_import(i);
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (tokens_.is_word(i) && !is_import_[i] && !is_member(tokens_, i, "."))
        match_name(i);
      if (tokens_.is_string(i) && tokens_[i].text == "django.db.backends.sqlite3")
        out_.push_back({tokens_[i].text, rule::orm, "the SQLite backend of Django"});
    }
  }

private:
  // Returns the index of the next token.
  size_t read_import(size_t i) {
    auto begins = i == 0 || tokens_.is(i - 1, token_kind::line_end) || tokens_.is_symbol(i - 1, ';')
                  || tokens_.is_symbol(i - 1, ':');
    auto end = i + 1;
    if (begins && tokens_.is_word(i, "import"))
      end = read_modules(i + 1);
    else if (begins && tokens_.is_word(i, "from") && tokens_.is_word(i + 1))
      end = read_members(i + 1);
    else
      return end;
    end = std::min(end, tokens_.size());
    std::fill(is_import_.begin() + static_cast<ptrdiff_t>(i), is_import_.begin() + static_cast<ptrdiff_t>(end), true);
    return end;
  }

  // import a.b, c as d
  size_t read_modules(size_t i) {
    while (tokens_.is_word(i)) {
      auto module = chain_at(tokens_, i, ".");
      i = module.end;
      if (tokens_.is_word(i, "as") && tokens_.is_word(i + 1)) {
        names_.bind(tokens_[i + 1].text, joined(module.parts, "."));
        i += 2;
      } else {
        names_.bind(module.parts.front(), std::string{module.parts.front()});
      }
      if (!tokens_.is_symbol(i, ','))
        break;
      ++i;
    }
    return i;
  }

  // from a.b import (c, d as e)
  size_t read_members(size_t i) {
    auto chain = chain_at(tokens_, i, ".");
    auto module = joined(chain.parts, ".");
    i = chain.end;
    if (!tokens_.is_word(i, "import"))
      return i;
    ++i;
    auto in_parentheses = tokens_.is_symbol(i, '(');
    for (i += in_parentheses ? 1 : 0; i < tokens_.size(); ++i) {
      if (tokens_.is_symbol(i, '*'))
        names_.bind_all(module);
      else if (tokens_.is_word(i))
        i = read_member(i, module);
      else if (!tokens_.is_symbol(i, ',') && !(in_parentheses && tokens_.is(i, token_kind::line_end)))
        break;
    }
    return i;
  }

  size_t read_member(size_t i, const std::string& module) {
    auto qualified = module + "." + std::string{tokens_[i].text};
    if (tokens_.is_word(i + 1, "as") && tokens_.is_word(i + 2))
      i += 2;
    names_.bind(tokens_[i].text, std::move(qualified));
    return i;
  }

  void match_name(size_t i) {
    auto chain = chain_at(tokens_, i, ".");
    auto is_called = tokens_.is_symbol(chain.end, '(');
    // connect=..., or connect = ...
    if (tokens_.is_symbol(chain.end, '=') && !tokens_.is_symbol(chain.end + 1, '='))
      return;
    if (is_called && (chain.parts.back() == "__import__" || chain.parts.back() == "import_module"))
      return match_loaded(i, chain);
    for (const auto& name : names_.resolve(chain.parts, "."))
      for (const auto& opener : python_openers)
        if (opener.name == name && (is_called || !opener.is_type) && !opens_memory(tokens_, chain.end))
          out_.push_back({tokens_[i].text, opener.rule, joined(chain.parts, ".")});
  }

  void match_loaded(size_t i, const name_chain& chain) {
    const auto* module = first_string(tokens_, chain.end);
    if (module && std::find(python_modules.begin(), python_modules.end(), module->text) != python_modules.end())
      out_.push_back(
        {tokens_[i].text, rule::python_module, joined(chain.parts, ".") + "(\"" + std::string{module->text} + "\")"});
  }

  const token_view& tokens_;
  matches& out_;
  imported_names names_;
  std::vector<bool> is_import_;
};

} // namespace

void match_python(const token_view& tokens, matches& out) { python_matcher{tokens, out}.run(); }

} // namespace sluice::validate
