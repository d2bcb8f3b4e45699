#include "actnet/net/bytes/bytes.hpp"

#include "support/catch.hpp"

#include <thread>
#include <vector>

namespace actnet::test {
namespace {

using net::bytes;

struct silent_bell final : net::credit_bell {
  void ring() noexcept override {}
};

} // namespace

TEST_CASE("empty bytes have no memory and every operation works on them") {
  bytes none;
  CHECK(none.empty());
  CHECK(none.size() == 0);
  CHECK(none.begin() == none.end());
  CHECK(none.view().empty());
  CHECK(none == bytes::copy(""));
  CHECK(none.slice(3, 5).empty());
  CHECK(none.detach().empty());
  none.remove_prefix(7);
  CHECK(none.empty());
}

TEST_CASE("a copy is equal, and zero bytes in it are ordinary") {
  const std::string_view text{"a\0b\0", 4};
  const auto copied = bytes::copy(text);
  CHECK(copied.view() == text);
  CHECK(copied == bytes::copy(std::as_bytes(std::span(text))));
  CHECK_FALSE(copied == bytes::copy("a"));
  CHECK(copied.data() != reinterpret_cast<const std::byte*>(text.data()));
}

TEST_CASE("slices share the block and are cut to what is there") {
  const auto all = bytes::copy("0123456789");
  CHECK(all.slice(0) == all);
  CHECK(all.slice(3, 4).view() == "3456");
  CHECK(all.slice(3, 4).data() == all.data() + 3);
  CHECK(all.slice(8, 100).view() == "89");
  CHECK(all.slice(10).empty());
  CHECK(all.slice(11).empty());
  CHECK(all.slice(2, 6).slice(1, 2).view() == "34");
  auto rest = all;
  rest.remove_prefix(9);
  CHECK(rest.view() == "9");
  rest.remove_prefix(2);
  CHECK(rest.empty());
}

TEST_CASE("moving takes the bytes along and assigning to oneself changes nothing") {
  auto a = bytes::copy("text");
  auto b = std::move(a);
  CHECK(a.empty());
  CHECK(b.view() == "text");
  const auto& same = b;
  b = same;
  CHECK(b.view() == "text");
  a = b;
  b = {};
  CHECK(a.view() == "text");
}

TEST_CASE("a charge lasts until the last slice is gone") {
  static silent_bell bell;
  auto& account = *net::credit_account::open(bell);
  auto all = bytes::copy(std::string(200, 'x'));
  all.charge_to(account);
  CHECK(account.outstanding() == 240 + net::block::overhead_bytes);
  auto one = all.slice(100, 1);
  all = {};
  CHECK(account.outstanding() == 240 + net::block::overhead_bytes);
  auto own = one.detach();
  one = {};
  CHECK(account.outstanding() == 0);
  CHECK(own.view() == "x");
  account.close();
}

TEST_CASE("an empty payload that is charged costs a block, until its last copy is gone") {
  static silent_bell bell;
  auto& account = *net::credit_account::open(bell);
  bytes nothing;
  nothing.charge_to(account);
  CHECK(account.outstanding() >= net::block::overhead_bytes);
  CHECK(nothing.empty());
  CHECK(nothing == bytes{});
  CHECK(nothing.slice(3).empty());
  auto copy = nothing;
  nothing = {};
  CHECK(account.outstanding() >= net::block::overhead_bytes);
  CHECK(copy.detach().pinned_bytes() == 0);
  copy.charge_to(account); // once is enough
  copy = {};
  CHECK(account.outstanding() == 0);
  account.close();
}

TEST_CASE("slices may be copied and dropped in many threads at once") {
  static silent_bell bell;
  auto& account = *net::credit_account::open(bell);
  auto all = bytes::copy(std::string(2'000, 'x'));
  all.charge_to(account);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([part = all.slice(static_cast<std::size_t>(t) * 500, 500)] {
      for (int i = 0; i < 10'000; ++i) {
        auto copy = part;
        auto piece = copy.slice(1, 2);
        copy = {};
      }
    });
  all = {};
  for (auto& each : threads)
    each.join();
  threads.clear();
  CHECK(account.outstanding() == 0);
  account.close();
}

} // namespace actnet::test
