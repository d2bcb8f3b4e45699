// The conformance suite of the backends: streams that are connected or accepted.
#include "net/loop/backend_suite.hpp"

namespace actnet::test::backend_suite {

// -- connecting ------------------------------------------------------------------------------------

TEST_CASE("a connect is told once, with its cause if it failed", "[backend]") {
  const baseline before;
  fixture f;
  listening_peer listener;
  const auto unix_name = endpoint::unix_stream(fresh_name());
  auto unix_listener = listener_socket::open(unix_name, {});
  REQUIRE(unix_listener);
  auto to = tcp_at(listener.port());
  std::error_code expected;
  SECTION("over TCP") {}
  SECTION("over Unix") {
    to = unix_name;
  }
  SECTION("refused") {
    listener.close();
    expected = errc::connection_refused;
  }
  auto begun = stream_socket::begin_connect(to, std::nullopt, {});
  REQUIRE(begun);
  connect_recorder c(f, std::move(begun->socket));
  REQUIRE(f.until([&] { return c.times > 0; }));
  CHECK(c.cause == expected);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(c.times == 1);
}

TEST_CASE("a connected stream is opened as one from within the completion of its connect", "[backend]") {
  fixture f;
  listening_peer listener;
  auto begun = stream_socket::begin_connect(tcp_at(listener.port()), std::nullopt, {});
  REQUIRE(begun);
  connect_recorder c(f, std::move(begun->socket));
  std::unique_ptr<stream_recorder> s;
  c.hook = [&](std::string_view) {
    c.close();
    s = std::make_unique<stream_recorder>(f, std::move(c.socket));
    s->read();
    s->send("ping");
  };
  REQUIRE(f.until([&] { return s != nullptr; }));
  auto theirs = listener.accept();
  CHECK(theirs.read_exactly(4) == "ping");
  theirs.send_all("pong");
  CHECK(f.until([&] { return s->received == "pong"; }));
}

TEST_CASE("a peer that says something and resets the stream at once was connected, and is heard", "[backend]") {
  const baseline before;
  fixture f;
  const auto said = GENERATE(as<std::string>{}, "a banner", "");
  const auto finishes = GENERATE(false, true);
  CAPTURE(said, finishes);
  listening_peer listener;
  auto begun = stream_socket::begin_connect(tcp_at(listener.port()), std::nullopt, {});
  REQUIRE(begun);
  auto far = listener.accept();
  if (!said.empty())
    far.send_all(said);
  if (finishes)
    far.finish();
  far.reset();
  connect_recorder c(f, std::move(begun->socket));
  REQUIRE(f.until([&] { return c.times > 0; }));
  if (said.empty() && !finishes) {
    CHECK(c.cause == errc::connection_reset);
    return;
  }
  REQUIRE_FALSE(c.cause);
  c.close();
  stream_recorder s(f, std::move(c.socket));
  s.read();
  REQUIRE(f.until([&] { return s.ends == 1; }));
  CHECK(s.received == said);
  CHECK(((s.end_cause == errc::connection_reset) != finishes));
  CHECK(f.until([&] { return !finishes || s.hang_ups == 1; }));
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
}

TEST_CASE("a connect that fails late tells the cause", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  const auto [number, expected] = GENERATE(table<int, errc>({{ETIMEDOUT, errc::timed_out},
                                                             {EHOSTUNREACH, errc::host_unreachable},
                                                             {ENETUNREACH, errc::network_unreachable}}));
  kernel.fail_connect_later(number);
  auto begun = stream_socket::begin_connect(tcp_at(1), std::nullopt, {});
  REQUIRE(begun);
  connect_recorder c(f, std::move(begun->socket));
  REQUIRE(f.until([&] { return c.times > 0; }));
  CHECK(c.cause == expected);
}

// -- listeners ---------------------------------------------------------------------------------------

TEST_CASE("a listener is asked before each accept, and what it declines stays in the backlog", "[backend]") {
  const baseline before;
  fixture f;
  listener_recorder l(f);
  l.wanted = 2;
  std::vector<peer> peers;
  for (int i = 0; i < 5; ++i)
    peers.emplace_back(l.port());
  REQUIRE(f.until([&] { return l.asked == 3; }));
  peers.emplace_back(l.port()); // it is not asked about this one
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(l.accepted.size() == 2);
  CHECK(l.asked == 3);
  l.wanted = 1'000;
  f.io->accept_more(l.which);
  CHECK(f.until([&] { return l.accepted.size() == 6; }));
  peers.emplace_back(l.port());
  CHECK(f.until([&] { return l.accepted.size() == 7; }));
  CHECK(l.failures.empty());
}

TEST_CASE("a listener that was asked to go on before anybody came accepts who comes", "[backend]") {
  fixture f;
  listener_recorder l(f);
  f.poll(0ms);
  l.wanted = 0;
  const peer declined(l.port());
  REQUIRE(f.until([&] { return l.asked > 0; }));
  l.wanted = 1'000;
  f.io->accept_more(l.which);
  f.io->accept_more(l.which);
  CHECK(f.until([&] { return l.accepted.size() == 1; }));
  f.io->accept_more(l.which);
  const peer another(l.port());
  CHECK(f.until([&] { return l.accepted.size() == 2; }));
}

TEST_CASE("a Unix listener accepts", "[backend]") {
  fixture f;
  const auto name = endpoint::unix_stream(fresh_name());
  listener_recorder l(f, std::move(*listener_socket::open(name, {})));
  const auto begun = stream_socket::begin_connect(name, std::nullopt, {});
  REQUIRE(begun);
  CHECK(f.until([&] { return l.accepted.size() == 1; }));
}

TEST_CASE("a listener that somebody else shuts down says so, once", "[backend]") {
  fixture f;
  const auto where = each_carrier() == carrier::tcp ? tcp_at(0) : endpoint::unix_stream(fresh_name());
  listener_recorder l(f, std::move(*listener_socket::open(where, {})));
  REQUIRE(stream_socket::begin_connect(*l.socket.local_endpoint(), std::nullopt, {}));
  REQUIRE(f.until([&] { return l.accepted.size() == 1; }));
  REQUIRE(::shutdown(l.socket.fd(), SHUT_RDWR) == 0);
  REQUIRE(f.until([&] { return !l.failures.empty(); }));
  CHECK(l.failures[0] == errc::invalid_argument);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(l.failures.size() == 1);
}

TEST_CASE("a lack of descriptors or memory stops accepting until accept_more, told once", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  const auto [number, expected] = GENERATE(table<int, errc>({{EMFILE, errc::too_many_open_files},
                                                             {ENFILE, errc::too_many_open_files},
                                                             {ENOBUFS, errc::out_of_memory},
                                                             {ENOMEM, errc::out_of_memory}}));
  listener_recorder l(f);
  kernel.fail(call::accept4, number, {.count = occurrence::forever});
  const peer first(l.port());
  REQUIRE(f.until([&] { return !l.failures.empty(); }));
  const peer second(l.port());
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  REQUIRE(l.failures.size() == 1);
  CHECK(l.failures[0] == expected);
  f.io->accept_more(l.which);
  REQUIRE(f.until([&] { return l.failures.size() == 2; }));
  kernel.clear_faults();
  f.io->accept_more(l.which);
  CHECK(f.until([&] { return l.accepted.size() == 2; }));
}

TEST_CASE("what was wrong with one connection does not keep the next from being accepted", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  // The list of accept(2), with what its last paragraph adds for Linux.
  const auto number = GENERATE(ECONNABORTED, ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP,
                               ENETUNREACH, EPERM, ETIMEDOUT, EPROTONOSUPPORT);
  CAPTURE(number);
  listener_recorder l(f);
  kernel.fail(call::accept4, number, {.first = 1, .count = 2});
  const peer first(l.port());
  REQUIRE(f.until([&] { return l.accepted.size() == 1; }));
  CHECK(l.failures == std::vector<std::error_code>(2, errc::connection_aborted));
}

TEST_CASE("a listener on which every accept fails comes to rest and says why", "[backend]") {
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  const auto [number, said] =
      GENERATE(table<int, errc>({{EPERM, errc::permission_denied}, {ECONNABORTED, errc::other}}));
  listener_recorder l(f);
  kernel.fail(call::accept4, number, {.count = occurrence::forever});
  const peer first(l.port());
  REQUIRE(f.until([&, cause = said] { return !l.failures.empty() && l.failures.back() == cause; }));
  CHECK(l.failures.size() == 65);
  CHECK(f.awakes_during(short_while) <= awakes_of_silence);
  CHECK(l.failures.size() == 65);
  kernel.clear_faults();
  f.io->accept_more(l.which);
  CHECK(f.until([&] { return l.accepted.size() == 1; }));
}

TEST_CASE("a listener can be closed from within each of its completions", "[backend]") {
  const baseline before;
  faulty_system_calls kernel;
  const replaced_system_calls replaced(kernel);
  fixture f(faults::injected);
  if (!f.io)
    return;
  const std::string last = GENERATE("wants", "accepted", "accept_failed");
  listener_recorder l(f);
  if (last == "accept_failed")
    kernel.fail(call::accept4, ECONNABORTED);
  const peer first(l.port());
  const peer second(l.port());
  l.hook = [&](std::string_view what) {
    if (what == last) {
      l.close();
      l.socket.close();
    }
  };
  CHECK(f.until([&] { return l.closed; }));
  f.poll(0ms);
  CHECK(kernel.violations().empty());
}

} // namespace actnet::test::backend_suite
