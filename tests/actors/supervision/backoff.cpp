// Delays before attempts: doubled, within jitter, and short again after what lasted.
#include "actnet/actors/supervision/backoff.hpp"

#include "support/catch.hpp"

#include <algorithm>

using namespace actnet;
using namespace std::chrono_literals;

namespace {

constexpr net::time_point start{std::chrono::hours{1}};

} // namespace

TEST_CASE("delays double up to the most", "[supervisor]") {
  backoff delays{{.first = 100ms, .most = 1s, .jitter_percent = 0, .reset_after = 10s}};
  for (const auto expected : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms})
    CHECK(delays.next(start, start) == expected);
}

TEST_CASE("what lasted begins again at the first delay, what almost did does not", "[supervisor]") {
  backoff delays{{.first = 100ms, .most = 1s, .jitter_percent = 0, .reset_after = 10s}};
  CHECK(delays.next(start, start) == 100ms);
  CHECK(delays.next(start, start) == 200ms);
  CHECK(delays.next(start, start + 10s - 1ns) == 400ms);
  CHECK(delays.next(start, start + 10s) == 100ms);
  CHECK(delays.next(start, start) == 200ms);
}

TEST_CASE("without a first delay there is none, ever", "[supervisor]") {
  const auto first = GENERATE(0ms, -5ms);
  backoff delays{{.first = first, .most = 1s, .jitter_percent = 100}};
  for (int i = 0; i < 10; ++i)
    CHECK(delays.next(start, start) == 0ms);
}

TEST_CASE("a first delay beyond the most is the delay", "[supervisor]") {
  backoff delays{{.first = 5s, .most = 1s, .jitter_percent = 0}};
  CHECK(delays.next(start, start) == 5s);
  CHECK(delays.next(start, start) == 5s);
}

TEST_CASE("delays near the end of time do not overflow", "[supervisor]") {
  constexpr auto longest = std::chrono::milliseconds::max();
  backoff delays{{.first = longest / 3, .most = longest, .jitter_percent = 0}};
  CHECK(delays.next(start, start) == longest / 3);
  CHECK(delays.next(start, start) == longest / 3 * 2);
  CHECK(delays.next(start, start) == longest);
}

TEST_CASE("nothing lasts for a time without end", "[supervisor]") {
  backoff delays{{.first = 1s, .most = 8s, .jitter_percent = 0, .reset_after = std::chrono::milliseconds::max()}};
  CHECK(delays.next(start, start) == 1s);
  CHECK(delays.next(start, start + 1000h) == 2s);
}

TEST_CASE("jitter stays within its share, on both sides", "[supervisor]") {
  const auto percent = GENERATE(20u, 100u, 250u);
  const auto share = std::min(percent, 100u);
  bool shorter = false, longer = false;
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    backoff delays{{.first = 1s, .most = 4s, .jitter_percent = percent}, seed};
    for (const auto middle : {1000ms, 2000ms, 4000ms, 4000ms}) {
      const auto delay = delays.next(start, start);
      const auto spread = middle * share / 100;
      CHECK((delay >= middle - spread && delay <= middle + spread));
      shorter |= delay < middle - spread / 2;
      longer |= delay > middle + spread / 2;
    }
  }
  CHECK(shorter);
  CHECK(longer);
}
