// proxy between a peer and a server: bytes both ways, half-closes and resets, slow readers in bounded memory.
#include "apps/programs.hpp"

#include "support/baseline.hpp"
#include "support/peers.hpp"
#include "support/sanitizer.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <thread>

using namespace actnet::test;
using namespace std::chrono_literals;
using stream = process::stream;

namespace {

/// A proxy on a free port in front of `target`.
struct proxy : process {
  explicit proxy(const std::string& target)
      : process({.argv = {app("proxy"), "127.0.0.1:0", target}, .input = ""}), port(port_of(*this)) {}

  std::uint16_t port;
};

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

/// Both ends of a connection through a proxy, over the kinds of sockets that are asked for.
struct passage {
  enum class kind { tcp_to_tcp, tcp_to_unix, unix_to_tcp };

  explicit passage(kind over) {
    const auto door = folder / "door";
    if (over == kind::unix_to_tcp) {
      program.emplace(process_options{.argv = {app("proxy"), "unix:" + door, at_port(target.port())}, .input = ""});
      program->wait_for_line(stream::err, "^listening on unix:");
      near.emplace(connect_to(door));
      far.emplace(target.accept());
    } else if (over == kind::tcp_to_unix) {
      descriptor listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
      const auto address = unix_address(door);
      REQUIRE(::bind(listener.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
      REQUIRE(::listen(listener.fd(), 1) == 0);
      start("unix:" + door);
      far.emplace(descriptor{::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC)});
    } else {
      start(at_port(target.port()));
      far.emplace(target.accept());
    }
  }

  void start(const std::string& to) {
    program.emplace(process_options{.argv = {app("proxy"), "127.0.0.1:0", to}, .input = ""});
    near.emplace(port_of(*program));
  }

  static descriptor connect_to(const std::string& path) {
    descriptor made{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const auto address = unix_address(path);
    REQUIRE(::connect(made.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return made;
  }

  scratch_folder folder;
  listening_peer target;
  std::optional<process> program;
  std::optional<peer> near;
  std::optional<peer> far;
};

} // namespace

TEST_CASE("bytes pass both ways, and each side's end on its own", "[apps]") {
  const auto over = GENERATE(passage::kind::tcp_to_tcp, passage::kind::tcp_to_unix, passage::kind::unix_to_tcp);
  baseline before;
  passage through(over);
  through.near->send_all("a question");
  CHECK(through.far->read_exactly(10) == "a question");
  through.near->finish();
  CHECK(through.far->read_to_end().empty());
  through.far->send_all("an answer after the end of the question");
  through.far->finish();
  CHECK(through.near->read_to_end() == "an answer after the end of the question");
  through.program->send_signal(SIGTERM);
  CHECK(through.program->wait() == exit_status{0, 0});
}

TEST_CASE("a reset on either side reaches the other", "[apps]") {
  passage through(passage::kind::tcp_to_tcp);
  through.near->send_all("x");
  CHECK(through.far->read_exactly(1) == "x");
  const auto from_client = GENERATE(true, false);
  auto& resetting = from_client ? *through.near : *through.far;
  auto& other = from_client ? *through.far : *through.near;
  resetting.reset();
  CHECK(other.await_end() == ending::reset);
}

TEST_CASE("a client that finishes before there is a target is heard all the same", "[apps]") {
  listening_peer target;
  proxy program(at_port(target.port()));
  for (int round = 0; round < 20; ++round) {
    peer client(program.port);
    client.finish();
    auto far = target.accept();
    CHECK(far.read_to_end().empty());
    far.send_all("answer");
    far.close();
    CHECK(client.read_to_end() == "answer");
  }
}

TEST_CASE("without a target the client is reset, and the log says why", "[apps]") {
  std::uint16_t nobody;
  {
    listening_peer gone;
    nobody = gone.port();
  }
  proxy program(at_port(nobody));
  peer client(program.port);
  CHECK(client.await_end() == ending::reset);
  program.wait_for_line(stream::err, "cannot connect to 127\\.0\\.0\\.1:[0-9]+: connection refused");
}

TEST_CASE("a fast sender waits for a slow reader: memory stays bounded and nothing is lost", "[apps]") {
  const auto over = GENERATE(passage::kind::tcp_to_tcp, passage::kind::tcp_to_unix, passage::kind::unix_to_tcp);
  constexpr std::uint64_t many = 100'000'000;
  passage through(over);
  flooding_peer sender(std::move(*through.near), 1, many);
  // Until nothing moves any more, long before the end: all that is on the way is full.
  std::uint64_t seen = 0;
  REQUIRE(eventually([&] {
    ::poll(nullptr, 0, 100);
    return std::exchange(seen, sender.bytes_sent()) == sender.bytes_sent() && seen > 0;
  }));
  CHECK(seen < many / 2);
  position_checker received;
  while (received.offset() < many)
    received.feed(through.far->read_some(65'536));
  CHECK_FALSE(received.first_difference());
  if (!sanitized)
    CHECK(memory_peak_kib(through.program->id()) < 64 * 1024);
}
