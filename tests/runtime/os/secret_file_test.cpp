#include "messages/error.hpp"
#include "runtime/os/secret_file.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <set>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace sluice::test::secret_file_test {

namespace fs = std::filesystem;

namespace {

mode_t mode_of(const fs::path& file) {
  struct stat info {};
  REQUIRE(stat(file.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

void put(const fs::path& file, const std::string& text, mode_t mode = 0600) {
  std::ofstream{file} << text;
  REQUIRE(chmod(file.c_str(), mode) == 0);
}

failure refused(const fs::path& file) {
  auto result = load_or_make_secret(file, "token file");
  REQUIRE_FALSE(result);
  auto error = describe(result.error());
  CHECK(error.message.find(file.parent_path().string()) == std::string::npos);
  return error;
}

} // namespace

TEST_CASE("a token is created once, readable for the owner only, and kept", "[http]") {
  temp_dir folder;
  auto before = umask(0);
  auto first = load_or_make_secret(folder / "token", "token file");
  umask(before);
  REQUIRE(first);
  CHECK(first->size() == 64);
  CHECK(first->find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(mode_of(folder / "token") == 0600);
  auto again = load_or_make_secret(folder / "token", "token file");
  REQUIRE(again);
  CHECK(*again == *first);
  auto other = load_or_make_secret(folder / "other", "token file");
  REQUIRE(other);
  CHECK(*other != *first);
  CHECK(std::distance(fs::directory_iterator{folder.path()}, {}) == 2);
}

TEST_CASE("processes that make the token at the same time get the same", "[http]") {
  temp_dir folder;
  std::vector<std::string> tokens(8);
  std::vector<std::thread> threads;
  for (auto& token : tokens)
    threads.emplace_back([&] {
      auto made = load_or_make_secret(folder / "token", "token file");
      token = made ? *made : "";
    });
  for (auto& each : threads)
    each.join();
  CHECK(std::set<std::string>(tokens.begin(), tokens.end()).size() == 1);
  CHECK(tokens.front().size() == 64);
}

TEST_CASE("a token that others may read is refused and left as it is", "[http]") {
  temp_dir folder;
  for (mode_t mode : {0640U, 0604U, 0620U, 0602U, 0601U, 0777U}) {
    put(folder / "token", std::string(64, 'a'), mode);
    CHECK(refused(folder / "token").code == errc::not_authorized);
    CHECK(mode_of(folder / "token") == mode);
  }
  put(folder / "token", std::string(64, 'a'), 0400);
  CHECK(load_or_make_secret(folder / "token", "token file"));
}

TEST_CASE("a token file without a token is refused and left unchanged", "[http]") {
  temp_dir folder;
  for (const auto& text :
       {std::string{}, std::string{"\n"}, std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'a') + "\n\n",
        std::string(64, 'g'), std::string(64, 'A'), std::string(1'000'000, 'a'), std::string(64, '\0')}) {
    put(folder / "token", text);
    CHECK(refused(folder / "token").code == errc::not_authorized);
    CHECK(fs::file_size(folder / "token") == text.size());
  }
  put(folder / "token", std::string(64, 'a'));
  CHECK(load_or_make_secret(folder / "token", "token file"));
}

TEST_CASE("a token file that is not a regular file is refused and not followed", "[http]") {
  temp_dir folder;
  put(folder / "real", std::string(64, 'a'));
  fs::create_symlink(folder / "real", folder / "link");
  CHECK(refused(folder / "link").code == errc::not_authorized);
  fs::create_symlink(folder / "nowhere", folder / "dangling");
  CHECK(refused(folder / "dangling").code == errc::not_authorized);
  CHECK_FALSE(fs::exists(folder / "nowhere"));
  fs::create_directory(folder / "folder");
  CHECK(refused(folder / "folder").code == errc::not_authorized);
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(refused(folder / "pipe").code == errc::not_authorized);
  CHECK(refused(folder / "none" / "token").code == errc::io_error);
}

TEST_CASE("a token file of another user is refused", "[http]") {
  if (geteuid() != 0)
    return;
  temp_dir folder;
  put(folder / "token", std::string(64, 'a'));
  REQUIRE(chown((folder / "token").c_str(), 1, 1) == 0);
  CHECK(refused(folder / "token").message.find("another user") != std::string::npos);
}

} // namespace sluice::test::secret_file_test
