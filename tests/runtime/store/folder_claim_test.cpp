#include "runtime/store/folder_claim.hpp"

#include "messages/error.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace sluice::test::folder_claim_test {

namespace {

struct fixture {
  temp_dir dir;
  file_identity folder = *identity_of(dir.path());
  pid_t holder = 0;

  std::optional<folder_claim> claim() {
    holder = 0;
    auto result = folder_claim::try_acquire(folder, holder);
    REQUIRE(result);
    return std::move(*result);
  }
};

descriptor listener(const file_identity& folder, int number, int backlog = 64) {
  auto name = "sluice/" + std::to_string(geteuid()) + "/" + std::to_string(folder.device) + "/"
              + std::to_string(folder.inode) + "/" + std::to_string(number);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  descriptor result{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  REQUIRE(bind(result.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
  REQUIRE(listen(result.get(), backlog) == 0);
  return result;
}

// A child that runs `work`, reports this, and stays until the object is destroyed.
template <class Work> class child {
public:
  explicit child(Work work) {
    int ready[2];
    REQUIRE(pipe(ready) == 0);
    REQUIRE(pipe(end_) == 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(end_[1]);
      [[maybe_unused]] auto kept = work();
      char c = 'x';
      if (write(ready[1], &c, 1) == 1 && read(end_[0], &c, 1) >= 0)
        _exit(0);
      _exit(1);
    }
    close(ready[1]);
    char c = 0;
    REQUIRE(read(ready[0], &c, 1) == 1);
    close(ready[0]);
  }
  ~child() { end(); }

  void end() {
    if (pid_ <= 0)
      return;
    close(end_[1]);
    close(end_[0]);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  pid_t pid() const { return pid_; }

private:
  pid_t pid_ = 0;
  int end_[2] = {-1, -1};
};

} // namespace

TEST_CASE("a folder is claimed once, and free again when its holder releases it", "[folder_claim]") {
  fixture r;
  {
    auto first = r.claim();
    REQUIRE(first);
    CHECK_FALSE(r.claim());
    CHECK(r.holder == getpid());
    auto moved = std::move(first);
    CHECK_FALSE(r.claim());
  }
  CHECK(r.claim());
}

TEST_CASE("claims of different folders are independent", "[folder_claim]") {
  fixture r;
  fixture other;
  auto first = r.claim();
  CHECK(first);
  CHECK(other.claim());
}

TEST_CASE("the holder of a claim is reported, and its end frees the folder", "[folder_claim]") {
  fixture r;
  child holder{[&] { return r.claim(); }};
  CHECK_FALSE(r.claim());
  CHECK(r.holder == holder.pid());
  auto holders = claim_holders(r.folder, geteuid());
  REQUIRE(holders.size() == 1);
  CHECK(holders[0].pid == holder.pid());
  CHECK(holders[0].uid == geteuid());
  holder.end();
  CHECK(r.claim());
  CHECK(claim_holders(r.folder, geteuid()).empty());
}

TEST_CASE("a released claim is free although a forked child has a copy", "[folder_claim]") {
  fixture r;
  auto first = r.claim();
  child copy{[] { return 0; }};
  first.reset();
  auto second = r.claim();
  CHECK(second);
  CHECK_FALSE(r.claim());
}

TEST_CASE("a forked child that ends does not release its parent's claim", "[folder_claim]") {
  fixture r;
  auto claim = r.claim();
  auto pid = fork();
  if (pid == 0) {
    claim.reset();
    _exit(0);
  }
  waitpid(pid, nullptr, 0);
  CHECK_FALSE(r.claim());
}

TEST_CASE("an inherited claim is adopted by the process, which others see as its holder from then on",
          "[folder_claim]") {
  fixture r;
  auto claim = r.claim();
  REQUIRE(claim);
  auto fd = dup(claim->fd());
  auto heir = fork();
  if (heir == 0) {
    auto adopted = folder_claim::adopt(r.folder, fd);
    auto holders = claim_holders(r.folder, geteuid());
    _exit(adopted && holders.size() == 1 && holders[0].pid == getpid() && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 ? 0
                                                                                                                 : 1);
  }
  close(fd);
  claim->forget();
  int status = 1;
  waitpid(heir, &status, 0);
  CHECK(status == 0);
  CHECK(r.claim());
}

TEST_CASE("a descriptor that is not the claim of the folder is not adopted", "[folder_claim]") {
  fixture r;
  fixture other;
  auto claim = other.claim();
  REQUIRE(claim);
  descriptor file{open("/dev/null", O_RDONLY | O_CLOEXEC)};
  for (auto fd : {claim->fd(), file.get(), -1}) {
    auto result = folder_claim::adopt(r.folder, fd);
    REQUIRE_FALSE(result);
    CHECK(code_of(result.error()) == errc::invalid_request);
  }
}

TEST_CASE("names held by other users block no broker, and two brokers still exclude each other", "[folder_claim]") {
  if (geteuid() != 0)
    return;
  fixture r;
  auto stranger = [&](int first, int last) {
    return [&r, first, last] {
      // The name is that of the excluded user; the socket is another user's.
      std::vector<descriptor> held;
      auto bound = [&](int number) {
        auto name = "sluice/0/" + std::to_string(r.folder.device) + "/" + std::to_string(r.folder.inode) + "/"
                    + std::to_string(number);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path + 1, name.data(), name.size());
        descriptor result{socket(AF_UNIX, SOCK_STREAM, 0)};
        auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
        static_cast<void>(bind(result.get(), reinterpret_cast<const sockaddr*>(&address), size));
        static_cast<void>(listen(result.get(), 1));
        return result;
      };
      static_cast<void>(seteuid(60'001));
      for (auto number = first; number < last; ++number)
        held.push_back(bound(number));
      return held;
    };
  };
  SECTION("some of them") {
    child other{stranger(0, 2)};
    auto first = r.claim();
    REQUIRE(first);
    CHECK_FALSE(r.claim());
    // The one that comes when the names are free again sees the claim under its other name.
    other.end();
    CHECK_FALSE(r.claim());
  }
  SECTION("all of them: the lock file alone is left") {
    child other{stranger(0, 4)};
    CHECK(r.claim());
    auto holders = claim_holders(r.folder, 0);
    CHECK(holders.size() == 4);
    for (const auto& holder : holders)
      CHECK(holder.uid == 60'001);
  }
}

TEST_CASE("a claim with a full connection queue is still detected", "[folder_claim]") {
  fixture r;
  auto full = listener(r.folder, 0, 0);
  std::vector<descriptor> waiting;
  for (auto i = 0; i < 8; ++i) {
    pid_t ignored = 0;
    auto refused = folder_claim::try_acquire(r.folder, ignored);
    REQUIRE(refused);
    CHECK_FALSE(*refused);
    CHECK(ignored == getpid());
  }
}

TEST_CASE("of many concurrent claims, one at a time succeeds", "[folder_claim]") {
  fixture r;
  std::atomic<int> holders = 0;
  std::atomic<int> won = 0;
  std::atomic<int> overlaps = 0;
  auto contend = [&] {
    while (won < 200) {
      pid_t ignored = 0;
      auto result = folder_claim::try_acquire(r.folder, ignored);
      if (!result || !*result)
        continue;
      ++won;
      overlaps += holders++ > 0 ? 1 : 0;
      --holders;
    }
  };
  std::vector<std::thread> threads;
  for (auto i = 0; i < 4; ++i)
    threads.emplace_back(contend);
  for (auto& each : threads)
    each.join();
  CHECK(overlaps == 0);
}

} // namespace sluice::test::folder_claim_test
