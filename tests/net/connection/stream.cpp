// Bytes coded by their position run both ways at once, cut and paused at random.
#include "net/connection/stage.hpp"
#include "support/sanitizer.hpp"

#include <fcntl.h>

#include <array>
#include <random>

namespace actnet::test {

TEST_CASE("two connections exchange streams at once, cut and paused at random, and nothing is lost or moved") {
  for (std::uint32_t seed = 1; seed <= test::rounds(3); ++seed) {
    CAPTURE(seed);
    stage on;
    std::mt19937 random{seed};
    connection_options options;
    options.allow_half_open = true;
    options.read_credit_bytes = 100'000;
    options.write_low_bytes = 20'000;
    options.write_high_bytes = 60'000;
    constexpr std::uint64_t total = 1'500'000;

    // Both ends are ours: what one connection writes, the other receives.
    auto& opened = on.open(options);
    auto socket = net::stream_socket::adopt(::fcntl(opened.far.fd(), F_DUPFD_CLOEXEC, 0));
    REQUIRE(socket);
    opened.far = peer{descriptor{}};
    auto& other = on.adopt(std::move(*socket), peer{descriptor{}}, options);
    struct side {
      subject* own;
      std::uint64_t seed;
      std::uint64_t written = 0;
      std::uint64_t token = 0;
      bool finished = false;
    };
    std::array<side, 2> sides{{{&opened, seed * 2}, {&other, seed * 2 + 1}}};
    opened.check.emplace(sides[1].seed);
    other.check.emplace(sides[0].seed);
    opened.keep = other.keep = true;

    const auto step = [&](side& one) {
      auto& s = *one.own;
      if (random() % 8 == 0)
        s.kept.clear();
      if (random() % 16 == 0)
        s.near.pause_reading();
      else if (random() % 4 == 0)
        s.near.resume_reading();
      if (one.written < total) {
        const auto size = std::min<std::uint64_t>(total - one.written, random() % (random() % 4 == 0 ? 50'000 : 300));
        if (s.try_write(coded(size, one.written, one.seed), one.token + 1)) {
          ++one.token;
          one.written += size;
        }
      } else if (!std::exchange(one.finished, true)) {
        s.finish(++one.token);
      }
    };
    REQUIRE(on.pump_until([&] {
      for (auto& one : sides)
        step(one);
      return opened.closed() && other.closed();
    }));
    for (auto& one : sides) {
      auto& s = *one.own;
      CHECK(s.received_bytes == total);
      CHECK_FALSE(s.check->first_difference());
      CHECK(s.reason == close_reason::both_finished);
      CHECK(s.count("peer_finished") == 1);
      REQUIRE(s.outcomes.size() == one.token);
      for (std::size_t i = 0; i < s.outcomes.size(); ++i) {
        CHECK(s.outcomes[i].token == i + 1);
        CHECK_FALSE(s.outcomes[i].cause);
      }
    }
  }
}

} // namespace actnet::test
