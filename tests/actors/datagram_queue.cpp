// The queue of a datagram socket: each receiver gets its own in order, whoever else has no room.
#include "actnet/actors/datagram_queue.hpp"

#include "support/catch.hpp"

#include <string>

using namespace actnet;
using namespace std::chrono_literals;

namespace {

const net::time_point start{1h};

queued_datagram item(const std::string& text, const std::optional<std::string>& receiver) {
  queued_datagram made;
  made.payload = net::bytes::copy(text);
  if (receiver)
    made.to = net::endpoint::unix_datagram("/" + *receiver);
  return made;
}

/// Of each text the first letter is the receiver; '-' has none.
void fill(datagram_queue& queue, std::initializer_list<std::string> texts) {
  for (const auto& text : texts)
    queue.push(item(text, text[0] == '-' ? std::nullopt : std::optional{text.substr(0, 1)}));
}

std::string next(datagram_queue& queue) {
  std::string all;
  for (std::size_t i = 0; const auto* each = queue.next(i); ++i)
    all += std::string{each->payload.view()} + " ";
  return all;
}

/// What is sent when those have no room, until nothing more is to be tried.
std::string sent(datagram_queue& queue, const std::string& full, net::time_point now = start) {
  std::string all;
  while (const auto* first = queue.next(0)) {
    if (first->to && full.find(first->payload.view()[0]) != std::string::npos)
      queue.put_apart(now);
    else
      all += std::string{queue.take(now).payload.view()} + " ";
  }
  return all;
}

std::string texts_of(const std::vector<queued_datagram>& items) {
  std::string all;
  for (const auto& each : items)
    all += std::string{each.payload.view()} + " ";
  return all;
}

} // namespace

TEST_CASE("what is for a receiver without room waits in its order, and the others go on") {
  datagram_queue queue;
  fill(queue, {"a1", "b1", "-1", "a2", "c1", "b2", "a3"});
  CHECK(next(queue) == "a1 b1 -1 a2 c1 b2 a3 ");
  CHECK(sent(queue, "a") == "b1 -1 c1 b2 ");
  CHECK_FALSE(queue.empty());
  fill(queue, {"a4", "b3"});
  CHECK(sent(queue, "") == "b3 "); // before it is tried again
  queue.try_again();
  fill(queue, {"a5"});
  CHECK(next(queue) == "a1 a2 a3 a4 ");
  CHECK(sent(queue, "") == "a1 a2 a3 a4 a5 ");
  CHECK(queue.empty());
}

TEST_CASE("a receiver that takes some and is full again keeps its order") {
  datagram_queue queue;
  fill(queue, {"a1", "a2", "b1", "a3", "b2"});
  CHECK(sent(queue, "ab").empty());
  queue.try_again();
  const std::string first{queue.take(start).payload.view().substr(0, 1)};
  queue.put_apart(start);
  CHECK(queue.next(0)->payload.view().substr(0, 1) != first); // the other one's turn
  CHECK(sent(queue, "ab").empty());
  queue.try_again();
  const auto rest = sent(queue, "");
  CHECK(rest.find(first == "a" ? "a2 a3 " : "b2 ") != std::string::npos);
  CHECK(rest.find(first == "a" ? "b1 b2 " : "a1 a2 a3 ") != std::string::npos);
  CHECK(queue.empty());
}

TEST_CASE("what is offered together ends before what has to wait") {
  datagram_queue queue;
  fill(queue, {"a1"});
  CHECK(sent(queue, "a").empty());
  fill(queue, {"b1", "b2", "a2", "b3"});
  CHECK(next(queue) == "b1 b2 ");
  CHECK(sent(queue, "a") == "b1 b2 b3 ");
}

TEST_CASE("a receiver stalls that has had no room for the whole time, not one that took something") {
  datagram_queue queue;
  fill(queue, {"a1", "a2", "b1", "b2"});
  CHECK(sent(queue, "ab").empty());
  CHECK(queue.take_stalled(start + 9s, 10s).empty());
  queue.try_again();
  while (queue.next(0)->payload.view() != "b1")
    queue.put_apart(start + 9s);
  CHECK(queue.take(start + 9s).payload.view() == "b1");
  CHECK(sent(queue, "ab", start + 9s).empty());
  CHECK(texts_of(queue.take_stalled(start + 10s, 10s)) == "a1 a2 ");
  CHECK(texts_of(queue.take_stalled(start + 18s, 10s)).empty());
  queue.try_again();
  CHECK(texts_of(queue.take_stalled(start + 19s, 10s)) == "b2 "); // also when it was about to be tried
  CHECK(queue.next(0) == nullptr);
  CHECK(queue.empty());
}

TEST_CASE("everything can be taken out, what waits apart too") {
  datagram_queue queue;
  fill(queue, {"a1", "b1", "a2"});
  CHECK(sent(queue, "a") == "b1 ");
  queue.try_again();
  fill(queue, {"b2"});
  std::size_t seen = 0;
  queue.for_each([&](const queued_datagram&) { ++seen; });
  CHECK(seen == 3);
  CHECK(texts_of(queue.take_all()) == "a1 a2 b2 ");
  CHECK(queue.empty());
  CHECK(queue.next(0) == nullptr);
}

TEST_CASE("what is dropped is what would have been taken, and its payload goes at once") {
  datagram_queue queue;
  fill(queue, {"a1", "b1", "b2", "a2"});
  const auto kept = queue.first().payload;
  CHECK(kept.view() == "a1");
  queue.drop(start);
  CHECK(next(queue) == "b1 b2 a2 ");
  queue.put_apart(start); // b1, and with it b2
  CHECK(next(queue) == "a2 ");
  CHECK(queue.first().payload.view() == "a2");
  queue.drop(start);
  CHECK_FALSE(queue.empty());
  queue.try_again();
  CHECK(queue.first().payload.view() == "b1");
  queue.drop(start);
  CHECK(queue.first().payload.view() == "b2");
  queue.drop(start);
  CHECK(queue.empty());
  auto& made = queue.push();
  made.payload = net::bytes::copy("-1");
  CHECK(next(queue) == "-1 ");
  queue.drop(start);
  CHECK(queue.empty());
}

TEST_CASE("a long queue is taken out in order") {
  datagram_queue queue;
  std::string expected, got;
  for (int i = 0; i < 500; ++i) {
    queue.push(item(std::to_string(i), "x"));
    expected += std::to_string(i) + " ";
    if (i % 3 == 0)
      got += std::string{queue.take(start).payload.view()} + " ";
  }
  CHECK(got + sent(queue, "") == expected);
}
