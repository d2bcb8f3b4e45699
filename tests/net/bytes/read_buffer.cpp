#include "support/catch.hpp"
#include "support/position_stream.hpp"

#include "actnet/net/bytes/read_buffer.hpp"

#include <algorithm>
#include <random>
#include <string>

using namespace actnet;
using namespace actnet::test;
using net::bytes;
using net::read_buffer;

TEST_CASE("a read buffer gives back what came, in any portions") {
  const auto seed = GENERATE(range(1u, 30u));
  std::mt19937 random{seed};
  const auto all = position_stream{seed}.bytes(300'000);
  read_buffer buffer;
  std::size_t in = 0, out = 0;
  while (out < all.size()) {
    if (in < all.size() && random() % 2 == 0) {
      const auto most = random() % 3 == 0 ? 40'000u : 300u;
      const auto size = std::min<std::size_t>(1 + random() % most, all.size() - in);
      buffer.push(bytes::copy(all.data() + in, size));
      in += size;
    } else if (in > out) {
      const auto size = std::min<std::size_t>(1 + random() % 30'000, in - out);
      const auto seen = buffer.peek(size);
      const auto taken = random() % 4 == 0 ? buffer.take_piece() : buffer.take(size);
      const auto common = std::min(seen.size(), taken.size());
      REQUIRE(seen.size() == size);
      REQUIRE(seen.view().substr(0, common) == taken.view().substr(0, common));
      REQUIRE(std::equal(taken.begin(), taken.end(), reinterpret_cast<const std::byte*>(all.data()) + out));
      if (random() % 5 == 0) {
        buffer.put_back(taken);
      } else {
        out += taken.size();
      }
    }
    REQUIRE(buffer.size() == in - out);
  }
  CHECK(buffer.empty());
  CHECK(buffer.take(10).empty());
}

TEST_CASE("a payload that comes alone is handed on as it is") {
  read_buffer buffer;
  const auto payload = bytes::copy("payload");
  buffer.push(payload);
  CHECK(buffer.take(7).data() == payload.data());
  buffer.push(payload);
  CHECK(buffer.take(4).view() == "payl");
  CHECK(buffer.take(3).data() == payload.data() + 4);
}

TEST_CASE("single bytes are gathered, so that they do not pin a block each") {
  read_buffer buffer;
  net::block_pool pool;
  net::block_pool::set_current(&pool);
  for (int i = 0; i < 10'000; ++i)
    buffer.push(bytes::copy("x"));
  CHECK(pool.kept_bytes() < 1'000); // of ten thousand, all but a few came back at once to be used again
  CHECK(buffer.take(10'000).view() == std::string(10'000, 'x'));
  net::block_pool::set_current(nullptr);
}

TEST_CASE("a needle is found wherever the cuts are") {
  const std::string text = "ab--abc--a-b--c";
  const std::string needle = GENERATE("-", "--", "b--", "--a-", "c", "x", "--c-");
  for (std::size_t first = 1; first < text.size(); ++first)
    for (std::size_t second = first + 1; second <= text.size(); ++second) {
      read_buffer buffer;
      buffer.push(bytes::copy(text.substr(0, first)));
      buffer.push(bytes::copy(text.substr(first, second - first)));
      buffer.push(bytes::copy(text.substr(second)));
      for (std::size_t from = 0; from <= text.size(); ++from) {
        const auto expected = text.find(needle, from);
        const auto found = buffer.find(needle, from);
        REQUIRE(found.value_or(std::string::npos) == expected);
      }
    }
}
