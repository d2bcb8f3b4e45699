#include "actnet/net/bytes/write_room.hpp"

#include "support/catch.hpp"

#include <atomic>
#include <thread>
#include <vector>

namespace actnet::test {

TEST_CASE("room is taken while less than the limit is, so that one taker may pass it") {
  net::write_room room;
  CHECK(room.take_here(90, 100));
  CHECK(room.take(50, 100));
  CHECK(room.taken() == 140);
  CHECK_FALSE(room.take(1, 100));
  CHECK_FALSE(room.take_here(1, 100));
  CHECK(room.taken() == 140);
  room.add_here(10);
  CHECK(room.taken() == 150);
}

TEST_CASE("the socket's thread gives back what others took, too") {
  net::write_room room;
  CHECK(room.take(70, 100));
  room.give_back(70);
  CHECK(room.taken() == 0);
  CHECK(room.take_here(30, 100));
  room.give_back(30);
  CHECK(room.taken() == 0);
  CHECK(room.take(100, 100));
  CHECK_FALSE(room.take_here(1, 100));
}

TEST_CASE("what is seen given back before it is seen taken is no lack of room") {
  net::write_room room;
  room.give_back(70); // of a taker in another thread, whose count is not seen here yet
  CHECK(room.taken() == 0);
  CHECK(room.take(20, 100));
  CHECK(room.take_here(20, 100));
}

TEST_CASE("takers in many threads and the one that gives back lose nothing") {
  net::write_room room;
  std::atomic<std::size_t> to_give_back{0};
  std::atomic<int> running{3};
  std::vector<std::thread> takers;
  for (int t = 0; t < 3; ++t)
    takers.emplace_back([&] {
      for (int i = 0; i < 20'000; ++i)
        if (room.take(7, 1'000))
          to_give_back.fetch_add(7);
        else
          std::this_thread::yield();
      --running;
    });
  while (running > 0 || to_give_back > 0) {
    room.give_back(to_give_back.exchange(0));
    if (room.take_here(11, 1'000))
      room.give_back(11);
  }
  for (auto& each : takers)
    each.join();
  CHECK(room.taken() == 0);
}

} // namespace actnet::test
