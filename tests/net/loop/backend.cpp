// What every backend does alike: the contract in net/loop/backend.hpp, and nothing more, run over each of them. Here
// channels and waiting; the files beside it have what travels.
#include "net/loop/backend_suite.hpp"

#include <cstdio>
#include <thread>

namespace actnet::test::backend_suite {

TEST_CASE("the conformance suite runs over these backends", "[backend]") {
  std::string names;
  for (const auto& each : tested_backends) {
    const auto made = each.make();
    REQUIRE(made);
    CHECK((*made)->name() == std::string_view{each.name});
    names += std::string{" "} + each.name;
  }
  std::printf("backends:%s\n", names.c_str());
  std::fflush(stdout);
}

// -- channels ----------------------------------------------------------------------------------------

TEST_CASE("a stream can be closed from within each of its completions", "[backend]") {
  const baseline before;
  fixture f;
  const std::string last = GENERATE("received", "end", "hang_up", "gather", "sent", "send_failed");
  auto [ours, theirs] = stream_pair({.receive_buffer_bytes = 8'192});
  stream_recorder s(f, std::move(ours));
  bool reached = false;
  s.hook = [&](std::string_view what) {
    if (what == last) {
      reached = true;
      s.close();
      s.socket.close();
    }
  };
  if (last != "hang_up" && last != "send_failed")
    s.read();
  theirs.send_all(text_of(200'000));
  if (last == "end")
    theirs.finish();
  s.send(text_of(6'000'000)); // closing in `gather` or `sent` ends it here
  if (last == "hang_up" || last == "send_failed")
    theirs.reset();
  CHECK(f.until([&] { return reached; }));
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
}

TEST_CASE("channels can be opened and closed from within every completion", "[backend]") {
  const baseline before;
  fixture f;
  std::vector<std::unique_ptr<stream_recorder>> crowd;
  std::vector<peer> others;
  const auto grow = [&](std::string_view) {
    for (int i = 0; i < 3 && crowd.size() < 400; ++i) {
      auto [ours, theirs] = stream_pair({}, carrier::local);
      crowd.push_back(std::make_unique<stream_recorder>(f, std::move(ours)));
      others.push_back(std::move(theirs));
    }
    if (crowd.size() > 1 && crowd.size() < 400)
      crowd.erase(crowd.begin());
  };
  auto [ours, theirs] = stream_pair({.receive_buffer_bytes = 8'192});
  stream_recorder s(f, std::move(ours));
  listener_recorder l(f);
  datagram_recorder d(f);
  auto begun = stream_socket::begin_connect(tcp_at(l.port()), std::nullopt, {});
  REQUIRE(begun);
  connect_recorder c(f, std::move(begun->socket));
  for (recorder* each :
       {static_cast<recorder*>(&s), static_cast<recorder*>(&l), static_cast<recorder*>(&d), static_cast<recorder*>(&c)})
    each->hook = grow;
  s.read();
  theirs.send_all(text_of(100'000));
  s.send(text_of(6'000'000));
  f.io->start_reading(d.which);
  for (int i = 0; i < 10; ++i)
    d.send(std::to_string(i), udp_at(d.port()));
  CHECK(f.until([&] {
    return s.received.size() == 100'000 && l.accepted.size() == 1 && c.times == 1 && d.received.size() == 10;
  }));
  theirs.reset();
  CHECK(f.until([&] { return s.ends == 1 && s.send_failures == 1; }));
}

TEST_CASE("the number of a closed channel means nothing, also when another one took its place", "[backend]") {
  fixture f;
  auto [ours, theirs] = stream_pair();
  auto old = channel::none;
  {
    stream_recorder s(f, std::move(ours));
    old = s.which;
  }
  const auto use = [&](channel which) {
    f.io->start_reading(which);
    f.io->stop_reading(which);
    f.io->send(which);
    f.io->accept_more(which);
    f.io->close(which);
  };
  use(old);
  use(channel::none);
  use(static_cast<channel>(~std::uint64_t{0}));
  auto [more_ours, more_theirs] = stream_pair();
  stream_recorder s(f, std::move(more_ours));
  CHECK(s.which != old);
  s.read();
  use(old);
  more_theirs.send_all("still here");
  CHECK(f.until([&] { return s.received == "still here"; }));
}

TEST_CASE("a descriptor that is closed and used again in the same batch gets nothing of the old one", "[backend]") {
  fixture f;
  std::array<std::unique_ptr<stream_recorder>, 2> both;
  std::vector<peer> others;
  for (auto& each : both) {
    auto [ours, theirs] = stream_pair({}, carrier::local);
    each = std::make_unique<stream_recorder>(f, std::move(ours));
    others.push_back(std::move(theirs));
  }
  std::unique_ptr<stream_recorder> heir;
  std::vector<peer> heirs_peer;
  for (std::size_t i = 0; i < 2; ++i) {
    both[i]->read();
    both[i]->hook = [&, i](std::string_view) {
      if (heir)
        return;
      const auto number = both[1 - i]->socket.fd();
      both[1 - i].reset();
      auto [ours, theirs] = stream_pair({}, carrier::local);
      CHECK(ours.fd() == number);
      heir = std::make_unique<stream_recorder>(f, std::move(ours));
      heirs_peer.push_back(std::move(theirs));
      heir->read();
    };
  }
  others[0].send_all("for the first");
  others[1].close();
  REQUIRE(f.until([&] { return heir != nullptr; }));
  f.awakes_during(short_while);
  CHECK(heir->received.empty());
  CHECK(heir->ends == 0);
  heirs_peer[0].send_all("for the heir");
  CHECK(f.until([&] { return heir->received == "for the heir"; }));
}

TEST_CASE("a channel that the kernel refuses is an error, and the next one opens", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  auto [ours, theirs] = stream_pair();
  kernel.fail(call::epoll_ctl, ENOSPC, {.fd = ours.fd()});
  {
    auto [other, unused] = stream_pair();
    stream_recorder s(f, std::move(other));
    const auto refused = f.io->open(ours, s);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == errc::out_of_memory);
  }
  stream_recorder s(f, std::move(ours));
  s.read();
  theirs.send_all("in");
  CHECK(f.until([&] { return s.received == "in"; }));
}

TEST_CASE("a backend that gets no descriptors is an error and leaves none behind", "[backend]") {
  const baseline before;
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  const auto which = GENERATE(call::epoll_create1, call::eventfd, call::epoll_ctl);
  kernel.fail(which, EMFILE);
  const auto made = make_epoll_backend();
  REQUIRE_FALSE(made);
  CHECK(made.error() == errc::too_many_open_files);
  CHECK(kernel.open_descriptors().empty());
}

// -- waiting -----------------------------------------------------------------------------------------

TEST_CASE("a wake from another thread ends a poll that waits for ever", "[backend]") {
  fixture f;
  for (int i = 0; i < 100; ++i) {
    std::thread other([&] { f.io->wake(); });
    f.poll(std::nullopt);
    other.join();
  }
  CHECK(f.awakes == 100);
}

TEST_CASE("a wake before a poll ends it at once, and only that one", "[backend]") {
  fixture f;
  f.io->wake();
  f.io->wake();
  f.poll(std::nullopt);
  CHECK(f.awakes == 1);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
}

TEST_CASE("a poll waits no less than it was asked to, and not at all for zero", "[backend]") {
  fixture f;
  for (const duration wait : {duration{100us}, duration{1ms}, duration{1500us}, duration{2'000'001ns}}) {
    const auto begin = std::chrono::steady_clock::now();
    f.poll(wait);
    CHECK(std::chrono::steady_clock::now() - begin >= wait);
  }
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 1'000; ++i)
    f.poll(0ns);
  CHECK(std::chrono::steady_clock::now() - begin < 1s);
}

} // namespace actnet::test::backend_suite
