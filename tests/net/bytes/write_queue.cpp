#include "actnet/net/bytes/write_queue.hpp"

#include "support/catch.hpp"
#include "support/position_stream.hpp"

#include <array>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace actnet::test {
namespace {

using net::errc;
using net::write_item;

/// A queue, its items by number from 0, and what became of them.
struct bench final : net::write_outcomes {
  struct outcome {
    std::size_t index;
    std::error_code cause;
    std::size_t sent;
  };

  void push(std::string_view text) {
    auto& item = *items.emplace_back(std::make_unique<write_item>());
    item.payload = net::bytes::copy(text);
    queue.push(item);
  }
  void push_finish() {
    auto& item = *items.emplace_back(std::make_unique<write_item>());
    item.what = write_item::kind::finish;
    queue.push(item);
  }

  void on_done(write_item& item, std::error_code cause) noexcept override {
    for (std::size_t i = 0; i < items.size(); ++i)
      if (items[i].get() == &item)
        done.push_back({i, cause, item.sent});
    when_done();
  }

  /// What one vectored call would be given.
  std::string gathered(std::size_t parts_max = 64) const {
    std::vector<iovec> parts(parts_max);
    const auto count = queue.gather(parts);
    std::string all;
    for (std::size_t i = 0; i < count; ++i) {
      CHECK(parts[i].iov_len > 0);
      all.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    }
    return all;
  }

  std::vector<std::unique_ptr<write_item>> items;
  std::vector<outcome> done;
  std::function<void()> when_done = [] {};
  net::write_queue queue{*this};
};

} // namespace

TEST_CASE("an empty queue has nothing to send and nothing to say") {
  bench b;
  CHECK(b.queue.empty());
  CHECK(b.queue.size_bytes() == 0);
  CHECK_FALSE(b.queue.at_finish());
  CHECK(b.gathered().empty());
  b.queue.sent(0);
  b.queue.fail(errc::closed);
  CHECK(b.done.empty());
}

TEST_CASE("partial sends cut anywhere complete each item once, in order, when its last byte went") {
  const std::vector<std::string> texts{"a", "", "bcd", "", "", "efghij", "k", ""};
  const std::string all = "abcdefghijk";
  for (std::size_t first = 0; first <= all.size(); ++first)
    for (std::size_t second = first; second <= all.size(); ++second) {
      CAPTURE(first, second);
      bench b;
      for (const auto& each : texts)
        b.push(each);
      std::size_t gone = 0;
      for (const auto until : {first, second, all.size()}) {
        CHECK(b.gathered() == all.substr(gone));
        CHECK(b.queue.size_bytes() == all.size() - gone);
        b.queue.sent(until - gone);
        gone = until;
        std::size_t complete = 0;
        for (std::size_t bytes = 0; complete < texts.size(); ++complete)
          if ((bytes += texts[complete].size()) > gone)
            break;
        CHECK(b.done.size() == complete);
      }
      REQUIRE(b.done.size() == texts.size());
      CHECK(b.queue.empty());
      for (std::size_t i = 0; i < texts.size(); ++i) {
        CHECK(b.done[i].index == i);
        CHECK_FALSE(b.done[i].cause);
        CHECK(b.done[i].sent == texts[i].size());
      }
    }
}

TEST_CASE("gather fills no more entries than it has and goes on from there") {
  bench b;
  std::string all;
  for (int i = 0; i < 200; ++i) {
    b.push(std::to_string(i));
    b.push("");
    all += std::to_string(i);
  }
  std::string got;
  for (std::size_t parts = 64; !b.queue.empty();) {
    const auto next = b.gathered(parts);
    REQUIRE_FALSE(next.empty());
    got += next;
    b.queue.sent(next.size());
  }
  CHECK(got == all);
  CHECK(b.done.size() == 400);
}

TEST_CASE("nothing behind a finish is gathered, and it completes when told") {
  bench b;
  b.push("before");
  b.push_finish();
  b.push("behind");
  CHECK(b.gathered() == "before");
  CHECK_FALSE(b.queue.at_finish());
  b.queue.sent(6);
  CHECK(b.queue.at_finish());
  CHECK(b.gathered().empty());
  b.queue.finished();
  CHECK_FALSE(b.queue.at_finish());
  CHECK(b.gathered() == "behind");
  b.queue.sent(6);
  CHECK(b.done.size() == 3);
}

TEST_CASE("fail ends everything in order with the bytes of each that went") {
  bench b;
  b.push("gone");
  b.push("half");
  b.push("");
  b.push("never");
  b.push_finish();
  b.queue.sent(6);
  std::vector<std::size_t> sizes;
  b.when_done = [&] { sizes.push_back(b.queue.size_bytes()); };
  b.queue.fail(errc::connection_reset);
  CHECK(b.queue.empty());
  REQUIRE(b.done.size() == 5);
  CHECK_FALSE(b.done[0].cause);
  const std::array<std::size_t, 5> sent{4, 2, 0, 0, 0};
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(b.done[i].index == i);
    CHECK(b.done[i].sent == sent[i]);
    if (i > 0)
      CHECK(b.done[i].cause == errc::connection_reset);
  }
  CHECK(sizes == std::vector<std::size_t>{5, 5, 0, 0}); // consistent at each call
}

TEST_CASE("an item pushed from within an outcome takes its place at the end") {
  bench b;
  b.push("one");
  b.push("two");
  bool once = true;
  b.when_done = [&] {
    if (std::exchange(once, false))
      b.push("three");
  };
  b.queue.sent(3);
  CHECK(b.gathered() == "twothree");
  b.queue.sent(8);
  REQUIRE(b.done.size() == 3);
  CHECK(b.done[2].index == 2);
}

TEST_CASE("random items sent in random pieces come out as one unbroken stream") {
  std::mt19937 random{7};
  const position_stream stream;
  position_checker check;
  bench b;
  std::uint64_t made = 0;
  for (int round = 0; round < 2'000; ++round) {
    if (random() % 2 == 0) {
      const auto part = stream.bytes(random() % 40, made);
      made += part.size();
      b.push({reinterpret_cast<const char*>(part.data()), part.size()});
    }
    const auto next = b.gathered(1 + random() % 5);
    const auto count = next.empty() ? 0 : random() % (next.size() + 1);
    check.feed(std::as_bytes(std::span(next)).first(count));
    b.queue.sent(count);
    REQUIRE(b.queue.size_bytes() == made - check.offset());
  }
  const auto rest = b.queue.size_bytes();
  b.queue.fail(errc::closed);
  CHECK(check.offset() + rest == made);
  CHECK_FALSE(check.first_difference());
  CHECK(b.done.size() == b.items.size());
}

} // namespace actnet::test
