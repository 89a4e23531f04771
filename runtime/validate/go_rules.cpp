#include "runtime/validate/rules.hpp"

#include <algorithm>
#include <array>

namespace sluice::validate {

namespace {

// Packages whose functions take the name of a driver.
constexpr std::array<std::string_view, 2> go_sql_packages{"database/sql", "github.com/jmoiron/sqlx"};
constexpr std::array<std::string_view, 6> go_sql_functions{"Open",        "Connect",  "ConnectContext",
                                                           "MustConnect", "MustOpen", "OpenDB"};

// Functions of packages with sqlite in their path.
constexpr std::array<std::string_view, 9> go_package_functions{"Open",    "OpenConn", "OpenFlags", "NewPool", "NewConn",
                                                               "Connect", "MustOpen", "OpenWith",  "Dial"};

template <class List> bool has(const List& list, std::string_view word) noexcept {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool names_sqlite(std::string_view text) noexcept { return text.find("sqlite") != std::string_view::npos; }

// The name of the package at this path: that of its last folder, without a version and without "go-".
std::string_view package_name(std::string_view path) noexcept {
  auto slash = path.rfind('/');
  auto last = path.substr(slash == std::string_view::npos ? 0 : slash + 1);
  auto is_version =
    last.size() > 1 && last[0] == 'v' && last.find_first_not_of("0123456789", 1) == std::string_view::npos;
  if (is_version && slash != std::string_view::npos)
    return package_name(path.substr(0, slash));
  last = last.substr(0, last.find(".v"));
  if (last.starts_with("go-"))
    last.remove_prefix(3);
  return last;
}

class go_matcher {
public:
  go_matcher(const token_view& tokens, matches& out) : tokens_(tokens), out_(out) {}

  void run() {
    for (size_t i = 0; i < tokens_.size(); ++i)
      if (tokens_.is_word(i, "import"))
        read_import(i + 1);
    for (size_t i = 0; i < tokens_.size(); ++i)
      if (tokens_.is_word(i) && !is_member(tokens_, i, "."))
        match_name(i);
  }

private:
  // import a "path"; import ( a "path" . "path" _ "path" )
  void read_import(size_t i) {
    auto is_group = tokens_.is_symbol(i, '(');
    for (i += is_group ? 1 : 0; i < tokens_.size(); ++i) {
      if (is_group && tokens_.is_symbol(i, ';'))
        continue;
      auto has_alias = tokens_.is_word(i) || tokens_.is_symbol(i, '.');
      auto path = i + (has_alias ? 1 : 0);
      if (!tokens_.is_string(path))
        break;
      bind(tokens_[path].text, has_alias ? tokens_[i].text : "");
      i = path;
      if (!is_group)
        break;
    }
  }

  void bind(std::string_view path, std::string_view alias) {
    imports_sqlite_ = imports_sqlite_ || names_sqlite(path);
    if (alias == ".")
      names_.bind_all(std::string{path});
    else if (alias != "_")
      names_.bind(alias.empty() ? package_name(path) : alias, std::string{path});
  }

  void match_name(size_t i) {
    auto chain = chain_at(tokens_, i, ".");
    if (!tokens_.is_symbol(chain.end, '('))
      return;
    for (const auto& name : names_.resolve(chain.parts, ".")) {
      auto dot = name.rfind('.');
      auto package = std::string_view{name}.substr(0, dot);
      auto function = std::string_view{name}.substr(dot + 1);
      if (has(go_sql_packages, package) && has(go_sql_functions, function) && has_sqlite_driver(chain.end))
        out_.push_back({tokens_[i].text, rule::go_database_sql, joined(chain.parts, ".")});
      else if (names_sqlite(package) && has(go_package_functions, function) && !opens_memory(tokens_, chain.end))
        out_.push_back({tokens_[i].text, rule::go_package, joined(chain.parts, ".")});
    }
  }

  // Whether the driver is SQLite's; one in a variable is, in a file that imports such a driver.
  bool has_sqlite_driver(size_t open) const {
    const auto* driver = first_string(tokens_, open);
    if (driver && names_sqlite(driver->text)) {
      auto database = static_cast<size_t>(driver - &tokens_[0]) + 2;
      return !tokens_.is_string(database) || !is_private_memory(tokens_[database].text);
    }
    return imports_sqlite_ && !tokens_.is_string(open + 1);
  }

  const token_view& tokens_;
  matches& out_;
  imported_names names_;
  bool imports_sqlite_ = false;
};

} // namespace

void match_go(const token_view& tokens, matches& out) { go_matcher{tokens, out}.run(); }

} // namespace sluice::validate
