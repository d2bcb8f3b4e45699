#include "support/position_stream.hpp"

#include "support/catch.hpp"

#include <algorithm>

using namespace actnet::test;

TEST_CASE("the checker accepts a stream however it was cut", "[support]") {
  const auto all = position_stream(7).bytes(1'000);
  for (const std::size_t step : {1, 3, 8, 999, 1'000}) {
    position_checker checker(7);
    for (std::size_t at = 0; at < all.size(); at += step)
      REQUIRE(checker.feed(std::span(all).subspan(at, std::min(step, all.size() - at))));
    CHECK(checker.offset() == all.size());
    CHECK_FALSE(checker.first_difference());
  }
}

TEST_CASE("bytes depend on position and seed only", "[support]") {
  const auto whole = position_stream(7).bytes(100);
  CHECK(position_stream(7).bytes(40, 60) == std::vector(whole.begin() + 60, whole.end()));
  CHECK(position_stream(8).bytes(100) != whole);
  CHECK(position_stream(7).at(99) == whole[99]);
}

TEST_CASE("the checker names the first byte that differs", "[support]") {
  auto all = position_stream(7).bytes(100);
  position_checker checker(7);

  SECTION("when a byte is changed") {
    all[41] ^= std::byte{1};
    CHECK_FALSE(checker.feed(all));
    CHECK(checker.first_difference() == 41u);
  }
  SECTION("when bytes are lost or doubled, within a few bytes of the place") {
    SECTION("lost") {
      all.erase(all.begin() + 41);
    }
    SECTION("doubled") {
      all.insert(all.begin() + 41, all[40]);
    }
    SECTION("a whole block lost") {
      all.erase(all.begin() + 41, all.begin() + 41 + 16);
    }
    CHECK_FALSE(checker.feed(all));
    REQUIRE(checker.first_difference());
    CHECK(*checker.first_difference() >= 41);
    CHECK(*checker.first_difference() < 45);
  }
  SECTION("and stays with it") {
    all[3] ^= std::byte{1};
    checker.feed(all);
    CHECK_FALSE(checker.feed(position_stream(7).bytes(10, 100)));
    CHECK(checker.first_difference() == 3u);
    CHECK(checker.offset() == 110);
  }
}
