// Restarts within a period: OTP's restart_intensity and period, to the edge.
#include "actnet/actors/supervision/restart_window.hpp"

#include "support/catch.hpp"

using namespace actnet;
using namespace std::chrono_literals;

namespace {

constexpr net::time_point start{std::chrono::hours{1}};

} // namespace

TEST_CASE("as many restarts as the intensity are well, one more is not", "[supervisor]") {
  const auto intensity = GENERATE(0u, 1u, 3u, 100u);
  restart_window window{intensity, 5s};
  for (std::uint32_t i = 0; i < intensity; ++i)
    CHECK(window.add(start));
  CHECK_FALSE(window.add(start));
  CHECK(window.intensity() == intensity);
  CHECK(window.period() == 5s);
}

TEST_CASE("a restart counts to the end of its period, and no longer", "[supervisor]") {
  restart_window window{1, 5s};
  CHECK(window.add(start));
  SECTION("at its end") {
    CHECK_FALSE(window.add(start + 5s));
  }
  SECTION("after it") {
    CHECK(window.add(start + 5s + 1ns));
    CHECK_FALSE(window.add(start + 10s));
  }
}

TEST_CASE("the period slides", "[supervisor]") {
  restart_window window{2, 10s};
  for (int i = 0; i < 1000; ++i)
    CHECK(window.add(start + i * 6s));
  CHECK_FALSE(window.add(start + 1000 * 6s - 3s));
}

TEST_CASE("a period of zero counts what happens at the same time", "[supervisor]") {
  restart_window window{1, 0ms};
  CHECK(window.add(start));
  CHECK(window.add(start + 1ns));
  CHECK_FALSE(window.add(start + 1ns));
}

TEST_CASE("a period without end never forgets", "[supervisor]") {
  restart_window window{1, std::chrono::milliseconds::max()};
  CHECK(window.add(start));
  CHECK_FALSE(window.add(start + 100'000h));
}
