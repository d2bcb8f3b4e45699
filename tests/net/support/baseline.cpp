#include "support/baseline.hpp"

#include "support/catch.hpp"
#include "support/descriptor.hpp"
#include "support/eventually.hpp"
#include "support/memory.hpp"
#include "support/peer.hpp"
#include "support/quiet.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <thread>

using namespace actnet::test;
using namespace std::chrono_literals;

TEST_CASE("nothing left means no difference", "[support]") {
  baseline before;
  listening_peer server;
  peer client(server.port());
  server.accept().close();
  CHECK(client.await_end() == ending::finished);
  client.close();
  server.close();
  std::thread([] {}).join();
  CHECK(before.differences().empty());
}

TEST_CASE("a descriptor that is left is described", "[support]") {
  const baseline before;
  listening_peer server;
  peer client(server.port());
  const auto found = before.differences(0ms);
  REQUIRE(found.size() == 2);
  const auto address = "127.0.0.1:" + std::to_string(server.port());
  const auto contains = [&](const std::string& part) {
    return std::count_if(found.begin(), found.end(),
                         [&](const auto& line) { return line.find(part) != std::string::npos; }) == 1;
  };
  CHECK(contains("listening, " + address));
  CHECK(contains("stream, 127.0.0.1:" + std::to_string(client.local_port()) + " -> " + address));
}

TEST_CASE("a descriptor that vanished or became another is a difference", "[support]") {
  descriptor file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto number = file.fd();
  const baseline before;
  file.reset();
  CHECK(before.differences(0ms).size() == 1);
  descriptor other(::eventfd(0, EFD_CLOEXEC));
  REQUIRE(other.fd() == number);
  CHECK(before.differences(0ms).size() == 2);
  other.reset();
  file.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  REQUIRE(file.fd() == number);
  CHECK(before.differences(0ms).empty());
}

TEST_CASE("a thread that still runs and a counter that grew are differences", "[support]") {
  std::atomic<std::size_t> actors = 1;
  const baseline before({{"actors", [&] { return actors.load(); }}});
  std::promise<void> go;
  std::thread thread([&] { go.get_future().wait(); });
  actors = 3;
  const auto found = before.differences(0ms);
  go.set_value();
  thread.join();
  REQUIRE(found.size() == 2);
  CHECK(found[0].starts_with("thread "));
  CHECK(found[1] == "actors: 3, before 1");
  actors = 0;
  CHECK(before.differences().empty());
}

TEST_CASE("eventually gives up at its deadline and not before the first look", "[support]") {
  CHECK(eventually([] { return true; }, 0ms));
  const auto begin = std::chrono::steady_clock::now();
  CHECK_FALSE(eventually([] { return false; }, 20ms));
  CHECK(std::chrono::steady_clock::now() - begin >= 20ms);
  std::atomic<bool> done = false;
  std::thread thread([&] { done = true; });
  CHECK(eventually([&] { return done.load(); }));
  thread.join();
}

TEST_CASE("a busy thread and a thread that wakes all the time are not quiet", "[support]") {
  std::atomic<bool> stop = false;

  SECTION("busy") {
    std::thread busy([&] {
      while (!stop) {
      }
    });
    CHECK_FALSE(is_quiet(300ms));
    stop = true;
    busy.join();
  }
  SECTION("waking") {
    std::thread waking([&] { eventually([&] { return stop.load(); }, 60s); });
    CHECK(measure_activity(300ms).voluntary_switches > 0);
    CHECK_FALSE(is_quiet(300ms, 4)); // few, for a busy machine may not let it wake as often as it wants
    stop = true;
    waking.join();
  }
}

TEST_CASE("a thread that waits is asleep, and one that runs or is gone is not", "[support]") {
  CHECK_FALSE(is_asleep(::gettid()));
  std::atomic<pid_t> id = 0;
  std::atomic<bool> stop = false;
  std::thread waiting([&] {
    id = ::gettid();
    stop.wait(false);
  });
  CHECK(eventually([&] { return id != 0 && is_asleep(id); }));
  stop = true;
  stop.notify_all();
  waiting.join();
  CHECK_FALSE(is_asleep(id));
}

TEST_CASE("memory that is handed out shows until it is given back", "[support]") {
  const auto before = heap_in_use_bytes();
  if (before == 0)
    return; // a sanitizer's malloc
  auto block = std::make_unique<std::array<std::byte, 1'000'000>>();
  CHECK(heap_in_use_bytes() >= before + block->size());
  block.reset();
  CHECK(heap_in_use_bytes() < before + 100'000);
}
