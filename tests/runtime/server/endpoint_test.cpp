#include "runtime/server/endpoint.hpp"

#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice::test::endpoint_test {

namespace fs = std::filesystem;

namespace {

// Sets a variable of the environment, or removes it, for one test.
class environment {
public:
  environment(std::string name, const char* value) : name_(std::move(name)) {
    if (const auto* was = std::getenv(name_.c_str()))
      before_ = was;
    set(value);
  }
  environment(const environment&) = delete;
  ~environment() { set(before_ ? before_->c_str() : nullptr); }

  void set(const char* value) {
    if (value)
      setenv(name_.c_str(), value, 1);
    else
      unsetenv(name_.c_str());
  }

private:
  std::string name_;
  std::optional<std::string> before_;
};

store_root open_root(const fs::path& path) {
  fs::create_directories(path);
  auto result = store_root::open(path);
  REQUIRE(result);
  REQUIRE(result->make_folder());
  return std::move(*result);
}

// A store on a path too long for a socket, with other folders for the socket.
struct far_away {
  test::temp_dir dir;
  store_root root = open_root(dir / std::string(200, 'x'));
  environment runtime{"XDG_RUNTIME_DIR", nullptr};
  environment temporary{"TMPDIR", (dir / "tmp").c_str()};

  far_away() { fs::create_directory(dir / "tmp"); }

  fs::path in_temporary() const { return dir / "tmp" / ("sluice-" + std::to_string(geteuid())); }

  void have_runtime(fs::perms mode) {
    fs::create_directory(dir / "run");
    fs::permissions(dir / "run", mode);
    runtime.set((dir / "run").c_str());
  }
};

fs::path path_of(const caf::expected<fs::path>& result) {
  REQUIRE(result);
  return *result;
}

errc code(const caf::expected<fs::path>& result) {
  REQUIRE_FALSE(result);
  return code_of(result.error());
}

broker_info example(const store_root& root) {
  broker_info result;
  result.pid = 4711;
  result.version = "0.1.0";
  result.socket = root.socket_path();
  result.http = "127.0.0.1:8080";
  result.transient = true;
  result.started_us = 1'700'000'000'000'000;
  return result;
}

void say(const store_root& root, std::string_view text) {
  fs::remove_all(root.info_path());
  std::ofstream{root.info_path(), std::ios::binary} << text;
}

} // namespace

TEST_CASE("the socket lies in the store's own folder if there is room for its path") {
  test::temp_dir dir;
  auto room = 107 - fs::canonical(dir.path()).native().size() - std::string_view{"//.sluice/broker.sock"}.size();
  auto root = open_root(dir / std::string(room, 'x'));
  CHECK(path_of(socket_path_of(root, false)) == root.socket_path());
  CHECK(root.socket_path().native().size() == 107);
  auto longer = open_root(dir / std::string(room + 1, 'x'));
  CHECK(path_of(socket_path_of(longer, false)) != longer.socket_path());
}

TEST_CASE("a store on a long path has its socket in the user's runtime folder") {
  far_away f;
  f.have_runtime(fs::perms::owner_all);
  auto path = path_of(socket_path_of(f.root, false));
  CHECK(path.parent_path() == f.dir / "run/sluice");
  CHECK(path.native().size() <= 107);
  CHECK_FALSE(fs::exists(path.parent_path()));
  CHECK(path_of(socket_path_of(f.root, true)) == path);
  CHECK(fs::status(path.parent_path()).permissions() == fs::perms::owner_all);
  CHECK(path_of(socket_path_of(f.root, true)) == path);
}

TEST_CASE("stores on long paths have sockets with different names") {
  far_away f;
  auto other = open_root(f.dir / std::string(200, 'y'));
  CHECK(path_of(socket_path_of(f.root, false)) != path_of(socket_path_of(other, false)));
}

TEST_CASE("without a private runtime folder the socket is in the temporary folder") {
  far_away f;
  SECTION("there is none") {}
  SECTION("it does not exist") { f.runtime.set((f.dir / "missing").c_str()); }
  SECTION("it is no absolute path") { f.runtime.set("run"); }
  SECTION("others may enter it") { f.have_runtime(fs::perms{0750}); }
  SECTION("it is another user's") {
    f.have_runtime(fs::perms::owner_all);
    if (chown((f.dir / "run").c_str(), 65534, 65534) != 0)
      return;
  }
  SECTION("it has no room either") {
    auto deep = f.dir / std::string(100, 'r');
    fs::create_directory(deep);
    fs::permissions(deep, fs::perms::owner_all);
    f.runtime.set(deep.c_str());
  }
  CHECK(path_of(socket_path_of(f.root, true)).parent_path() == f.in_temporary());
  CHECK(fs::status(f.in_temporary()).permissions() == fs::perms::owner_all);
}

TEST_CASE("a temporary folder whose path is too long is skipped") {
  far_away f;
  fs::create_directory(f.dir / std::string(100, 't'));
  f.temporary.set((f.dir / std::string(100, 't')).c_str());
  auto path = path_of(socket_path_of(f.root, false));
  CHECK(path.native().size() <= 107);
}

TEST_CASE("a folder for the socket that is not the user's alone is refused") {
  far_away f;
  SECTION("others may enter it") {
    fs::create_directory(f.in_temporary());
    fs::permissions(f.in_temporary(), fs::perms{0711});
  }
  SECTION("it is another user's") {
    fs::create_directory(f.in_temporary());
    fs::permissions(f.in_temporary(), fs::perms::owner_all);
    if (chown(f.in_temporary().c_str(), 65534, 65534) != 0)
      return;
  }
  SECTION("it is a link") {
    fs::create_directory(f.dir / "elsewhere");
    fs::permissions(f.dir / "elsewhere", fs::perms::owner_all);
    fs::create_directory_symlink(f.dir / "elsewhere", f.in_temporary());
  }
  SECTION("it is a file") { std::ofstream{f.in_temporary()} << "x"; }
  CHECK(code(socket_path_of(f.root, true)) == errc::not_authorized);
  CHECK(code(socket_path_of(f.root, false)) == errc::not_authorized);
}

TEST_CASE("the published description of a leader is read back unchanged") {
  test::temp_dir dir;
  auto root = open_root(dir / "root");
  CHECK_FALSE(published_info(root));
  auto said = example(root);
  REQUIRE(publish(root, said));
  said.pid = 4712;
  REQUIRE(publish(root, said));
  auto heard = published_info(root);
  REQUIRE(heard);
  CHECK(heard->pid == 4712);
  CHECK(heard->protocol == protocol_version);
  CHECK(heard->version == said.version);
  CHECK(heard->socket == said.socket);
  CHECK(heard->http == said.http);
  CHECK(heard->transient);
  CHECK(heard->started_us == said.started_us);
  CHECK(fs::status(root.info_path()).permissions() == fs::perms{0600});
  CHECK(std::distance(fs::directory_iterator{root.folder()}, {}) == 1);
}

TEST_CASE("a description that cannot be published leaves nothing behind") {
  test::temp_dir dir;
  auto root = open_root(dir / "root");
  SECTION("its place is taken") {
    fs::create_directories(root.info_path() / "in the way");
    CHECK_FALSE(publish(root, example(root)));
    CHECK(std::distance(fs::directory_iterator{root.folder()}, {}) == 1);
  }
  SECTION("the folder is gone") {
    fs::remove_all(root.folder());
    CHECK_FALSE(publish(root, example(root)));
  }
}

TEST_CASE("a broker.json that is incomplete, hostile or not a file is ignored") {
  test::temp_dir dir;
  auto root = open_root(dir / "root");
  REQUIRE(publish(root, example(root)));
  std::string whole(fs::file_size(root.info_path()), '\0');
  std::ifstream{root.info_path()}.read(whole.data(), static_cast<std::streamsize>(whole.size()));
  auto with = [&](const std::string& part, const std::string& other) {
    auto text = whole;
    auto at = text.find(part);
    REQUIRE(at != std::string::npos);
    return text.replace(at, part.size(), other);
  };
  auto socket = "\"" + root.socket_path().string() + "\"";
  for (size_t size = 0; size + 2 < whole.size(); ++size) {
    say(root, whole.substr(0, size));
    CHECK_FALSE(published_info(root));
  }
  for (const auto& text :
       {with("4711", "-1"), with("4711", "\"4711\""), with("4711", "0"), with(socket, "\"relative.sock\""),
        with(socket, "\"/" + std::string(200, 'x') + "\""), with(socket, "\"/a\\u0000b\""), with(socket, "null"),
        std::string(100'000, '['), std::string(100'000, ' ') + whole, std::string{"[]"}, std::string{"null"},
        std::string{"\xff\xfe"}}) {
    say(root, text);
    CHECK_FALSE(published_info(root));
  }
  say(root, whole);
  CHECK(published_info(root));
  fs::remove(root.info_path());
  REQUIRE(mkfifo(root.info_path().c_str(), 0600) == 0);
  CHECK_FALSE(published_info(root));
  fs::remove(root.info_path());
  std::ofstream{dir / "elsewhere"} << whole;
  fs::create_symlink(dir / "elsewhere", root.info_path());
  CHECK_FALSE(published_info(root));
}

TEST_CASE("the address in broker.json is used if it is in a private folder") {
  far_away f;
  f.have_runtime(fs::perms::owner_all);
  auto info = example(f.root);
  info.socket = path_of(socket_path_of(f.root, true));
  REQUIRE(publish(f.root, info));
  f.runtime.set(nullptr);
  auto places = leader_sockets(f.root);
  REQUIRE(places.size() == 2);
  CHECK(places[0].path == info.socket);
  // Its broker is asked which store it leads: with another environment it could be one of another store.
  CHECK_FALSE(places[0].is_own);
  CHECK(places[1].path.parent_path() == f.in_temporary());
  CHECK(places[1].is_own);
  fs::permissions(info.socket.parent_path(), fs::perms::all);
  CHECK(leader_sockets(f.root).at(0).path.parent_path() == f.in_temporary());
  fs::remove(f.root.info_path());
  CHECK(leader_sockets(f.root).at(0).path.parent_path() == f.in_temporary());
}

TEST_CASE("a broker.json from a copy of another store is ignored") {
  test::temp_dir dir;
  auto one = open_root(dir / "one");
  auto two = open_root(dir / "two");
  REQUIRE(publish(one, example(one)));
  REQUIRE(published_info(one));
  CHECK(published_info(one)->root == one.identity());
  fs::copy_file(one.info_path(), two.info_path());
  CHECK_FALSE(published_info(two));
  CHECK(published_root(two) == one.identity());
  auto places = leader_sockets(two);
  REQUIRE(places.size() == 1);
  CHECK(places[0].path == two.socket_path());
}

TEST_CASE("a broker.json without a root is trusted for the store's own socket only") {
  test::temp_dir dir;
  auto one = open_root(dir / "one");
  auto two = open_root(dir / "two");
  auto of = [&](const store_root& root) {
    return R"({"http":"","pid":4711,"protocol":1,"socket":")" + root.socket_path().string()
           + R"(","started_us":1,"transient":true,"version":"0.1.0"})";
  };
  say(one, of(one));
  CHECK(published_info(one));
  say(two, of(one));
  CHECK_FALSE(published_info(two));
}

TEST_CASE("a broker.json that others can write is ignored") {
  test::temp_dir dir;
  auto root = open_root(dir / "root");
  REQUIRE(publish(root, example(root)));
  fs::permissions(root.info_path(), fs::perms{0620});
  CHECK_FALSE(published_info(root));
}

} // namespace sluice::test::endpoint_test
