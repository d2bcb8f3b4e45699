// echo_server on every kind of endpoint, with peers of our own and foreign ones.
#include "apps/programs.hpp"

#include "support/baseline.hpp"
#include "support/peers.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>

using namespace actnet::test;
using namespace std::chrono_literals;
using stream = process::stream;

namespace {

struct echo_server : process {
  explicit echo_server(std::vector<std::string> arguments)
      : process({.argv = command(std::move(arguments)), .input = ""}) {}

  static std::vector<std::string> command(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), app("echo_server"));
    return arguments;
  }

  /// The next line `listening on SCHEME...`, from the scheme on.
  std::string next_endpoint() { return wait_for_line(stream::err, "^listening on (.*)$").at(1); }

  std::uint16_t next_port() { return port_in(next_endpoint()); }

  static std::uint16_t port_in(const std::string& endpoint) {
    return static_cast<std::uint16_t>(std::stoul(endpoint.substr(endpoint.rfind(':') + 1)));
  }
};

peer unix_peer(const std::string& path) {
  descriptor made{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  path.copy(to.sun_path, sizeof to.sun_path - 1);
  if (::connect(made.fd(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
    throw std::runtime_error("connect " + path);
  return peer{std::move(made)};
}

/// What comes back, until the other side ends too.
std::string echoed(peer&& p, std::string_view text) {
  p.send_all(text);
  p.finish();
  return p.read_to_end();
}

std::size_t count_loop_threads(pid_t id) {
  std::size_t count = 0;
  for (const auto& each : std::filesystem::directory_iterator("/proc/" + std::to_string(id) + "/task")) {
    std::string name;
    std::ifstream(each.path() / "comm") >> name;
    count += is_loop_thread(name);
  }
  return count;
}

} // namespace

TEST_CASE("one server echoes on every kind of endpoint at once", "[apps]") {
  baseline before;
  const scratch_folder folder;
  const auto path = folder / "stream", datagrams = folder / "datagrams";
  {
    echo_server server({"127.0.0.1:0", "udp://127.0.0.1:0", "unix:" + path, "unixgram:" + datagrams});
    std::vector<std::string> where(4);
    for (auto& each : where)
      each = server.next_endpoint(); // in whatever order they are open
    std::sort(where.begin(), where.end());
    const auto tcp = echo_server::port_in(where[0]), udp = echo_server::port_in(where[1]);
    CHECK(where[2] == "unix:" + path);
    CHECK(where[3] == "unixgram:" + datagrams);

    CHECK(echoed(peer(tcp), "by TCP") == "by TCP");
    udp_peer sender;
    for (const std::string text : {"by UDP", "", "again"}) {
      sender.send_to(udp, text);
      CHECK(sender.receive().payload == text);
    }
    CHECK(echoed(unix_peer(path), "by Unix") == "by Unix");
    if (is_installed("socat")) {
      process socat(
          {.argv = {"sh", "-c",
                    "printf 'a datagram' | socat -t 1 - UNIX-SENDTO:" + datagrams + ",bind=" + (folder / "sender")},
           .input = ""});
      CHECK(socat.wait() == exit_status{0, 0});
      CHECK(socat.output() == "a datagram");
      // Nobody can answer a sender without a name; the server goes on.
      process nameless({.argv = {"sh", "-c", "printf x | socat -u - UNIX-SENDTO:" + datagrams}, .input = ""});
      CHECK(nameless.wait() == exit_status{0, 0});
      CHECK(echoed(peer(tcp), "still here") == "still here");
    }
    server.send_signal(SIGTERM);
    CHECK(server.wait() == exit_status{0, 0});
  }
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK_FALSE(std::filesystem::exists(datagrams));
}

TEST_CASE("50 MB come back whole, also from a server that is told to spread connections", "[apps]") {
  const auto shard = GENERATE("round-robin", "reuse-port");
  echo_server server({"--loops=2", std::string{"--shard="} + shard, "127.0.0.1:0"});
  const auto port = server.next_port();
  CHECK(eventually([&] { return count_loop_threads(server.id()) == 2; })); // a thread names itself once it runs
  constexpr std::uint64_t many = 50'000'000;
  peer connection(port);
  peer reader(descriptor{::dup(connection.fd())});
  flooding_peer sender(std::move(connection), 1, many);
  position_checker back;
  while (back.offset() < many)
    back.feed(reader.read_some(65'536));
  CHECK_FALSE(back.first_difference());
}

TEST_CASE("no more than so many connections at once, and silent ones are closed", "[apps]") {
  echo_server server({"127.0.0.1:0", "--max-connections=2", "--idle-timeout=1"});
  const auto port = server.next_port();
  peer one(port), two(port), three(port);
  one.send_all("1");
  CHECK(one.read_exactly(1) == "1");
  two.send_all("2");
  CHECK(two.read_exactly(1) == "2");
  three.send_all("3"); // waits in the backlog
  CHECK(three.read_exactly(1) == "3");
  CHECK(one.await_end() == ending::finished); // only its end, for silence, let the third one in
}

TEST_CASE("a path belongs to the server that answers on it, and a dead one's is taken over", "[apps]") {
  const scratch_folder folder;
  const auto path = folder / "door";
  echo_server first({"unix:" + path});
  CHECK(first.next_endpoint() == "unix:" + path);
  {
    echo_server second({"unix:" + path});
    CHECK(second.wait() == exit_status{1, 0});
    CHECK(second.output(stream::err) == "echo_server: cannot listen on unix:" + path + ": address already in use\n");
  }
  CHECK(echoed(unix_peer(path), "first") == "first");
  first.send_signal(SIGKILL);
  first.wait();
  REQUIRE(std::filesystem::exists(path));
  echo_server third({"unix:" + path});
  CHECK(third.next_endpoint() == "unix:" + path);
  CHECK(echoed(unix_peer(path), "third") == "third");
}

TEST_CASE("paths where nothing can be opened are told in one line", "[apps]") {
  const scratch_folder folder;
  const auto missing = "unix:" + (folder / "none/socket");
  echo_server server({missing});
  CHECK(server.wait() == exit_status{1, 0});
  CHECK(server.output(stream::err) == "echo_server: cannot listen on " + missing + ": no such file or directory\n");
  const auto file = "unixgram:" + folder.file("file", "");
  echo_server other({file});
  CHECK(other.wait() == exit_status{1, 0});
  CHECK(other.output(stream::err) == "echo_server: cannot bind " + file + ": address already in use\n");
  echo_server long_name({"unix:" + std::string(108, 'x')});
  CHECK(long_name.wait() == exit_status{2, 0});
  CHECK(has_one_line(long_name.output(stream::err)));
}

TEST_CASE("what is wrong on echo_server's command line is told in one line", "[apps]") {
  for (const auto& arguments : {std::vector<std::string>{},
                                {"127.0.0.1"},
                                {"127.0.0.1:0", "--shard=odd"},
                                {"127.0.0.1:0", "--loops=-1"},
                                {"127.0.0.1:0", "--idle-timeout=soon"},
                                {"127.0.0.1:0", "http://127.0.0.1:1"}}) {
    echo_server server(arguments);
    CHECK(server.wait() == exit_status{2, 0});
    CHECK(has_one_line(server.output(stream::err)));
    CHECK(server.output().empty());
  }
}
