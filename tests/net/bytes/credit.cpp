#include "actnet/net/bytes/credit.hpp"

#include "actnet/net/bytes/bytes.hpp"
#include "support/catch.hpp"

#include <atomic>
#include <thread>
#include <vector>

namespace actnet::test {
namespace {

struct counting_bell final : net::credit_bell {
  std::atomic<int> rings{0};
  void ring() noexcept override { ++rings; }
};

} // namespace

TEST_CASE("an account counts what is charged and what is given back") {
  static counting_bell bell;
  auto& account = *net::credit_account::open(bell);
  CHECK(account.outstanding() == 0);
  account.charge(112);
  account.charge(65'536);
  CHECK(account.outstanding() == 65'648);
  account.release(112);
  CHECK(account.outstanding() == 65'536);
  account.release(65'536);
  CHECK(account.outstanding() == 0);
  CHECK(bell.rings == 0);
  account.close();
}

TEST_CASE("a release rings the bell only while somebody waits for it") {
  static counting_bell bell;
  auto& account = *net::credit_account::open(bell);
  account.charge(1'600);
  account.release(160);
  CHECK(bell.rings == 0);
  account.await_release();
  CHECK(account.outstanding() == 1'440);
  account.release(160);
  CHECK(bell.rings == 1);
  account.stop_awaiting();
  account.release(160);
  CHECK(bell.rings == 1);
  account.release(1'120);
  CHECK(account.outstanding() == 0);
  account.close();
  CHECK(bell.rings == 1);
}

TEST_CASE("an account outlives its socket while payloads are out, also one that waits") {
  static counting_bell bell;
  auto& account = *net::credit_account::open(bell);
  auto first = net::bytes::copy("first");
  auto second = net::bytes::copy("second");
  first.charge_to(account);
  second.charge_to(account);
  account.await_release();
  account.close();
  first = {};
  std::thread{[gone = std::move(second)]() mutable { gone = {}; }}.join(); // a leak checker watches this one
  SUCCEED();
}

TEST_CASE("many threads that give back at once lose nothing, and the last of them rings") {
  static counting_bell bell;
  auto& account = *net::credit_account::open(bell);
  for (int round = 0; round < 200; ++round) {
    account.charge(3 * 16 * 50);
    account.await_release();
    const auto before = bell.rings.load();
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 50; ++i)
          account.release(16);
      });
    for (auto& each : threads)
      each.join();
    REQUIRE(account.outstanding() == 0);
    REQUIRE(bell.rings > before);
    account.stop_awaiting();
  }
  account.close();
}

TEST_CASE("payloads dropped at home, elsewhere and after leaving home all come back to the account") {
  static counting_bell bell;
  net::block_pool pool;
  net::block_pool::set_current(&pool);
  auto& account = *net::credit_account::open(bell, &pool);
  std::vector<net::bytes> out;
  for (int i = 0; i < 30; ++i)
    out.push_back(net::bytes::copy("payload"));
  for (auto& each : out)
    each.charge_to(account);
  const auto each_bytes = out[0].pinned_bytes() + net::block::overhead_bytes;
  CHECK(account.outstanding() == 30 * each_bytes);
  out.pop_back();
  std::thread{[gone = std::move(out.back())] {}}.join();
  out.pop_back();
  CHECK(account.outstanding() == 28 * each_bytes);
  account.await_release();
  out.pop_back();
  CHECK(bell.rings == 1);
  std::thread{[gone = std::move(out.back())] {}}.join();
  out.pop_back();
  CHECK(bell.rings == 2);
  account.stop_awaiting();
  account.leave_home();
  CHECK(account.outstanding() == 26 * each_bytes);
  out.pop_back();
  auto late = net::bytes::copy("late");
  late.charge_to(account);
  CHECK(account.outstanding() == 26 * each_bytes);
  account.close();
  std::thread{[gone = std::move(out)] {}}.join();
  late = {}; // the last one: a leak checker watches this
  CHECK(bell.rings == 2);
  net::block_pool::set_current(nullptr);
}

} // namespace actnet::test
