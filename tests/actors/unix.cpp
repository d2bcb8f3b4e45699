// Unix sockets through the actors: the same handles and messages, paths and names, and who is at the other end.
#include "support/actor_world.hpp"
#include "support/scratch_folder.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

using namespace actnet;
using namespace actnet::test;

namespace {

struct unix_echo : handler {
  connection peer;
  unix_echo(caf::actor_config& cfg, connection c) : handler(cfg), peer(std::move(c)) {}
  caf::behavior make_behavior() override {
    return {[this](const stream::received& r) { peer.write(r.payload); }};
  }
};

/// A pipe, of which one end is to be given away.
struct tube {
  tube() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    out.reset(ends[0]);
    in.reset(ends[1]);
  }

  /// Whether the other end is closed everywhere.
  bool ended() const {
    char byte;
    return ::read(out.fd(), &byte, 1) == 0;
  }

  descriptor out, in;
};

/// A process that connects once it is told to, and stays until it is destroyed.
class connecting_child {
 public:
  explicit connecting_child(const std::string& address) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const descriptor orders{ends[0]};
    order_.reset(ends[1]);
    id = ::fork();
    if (id == 0) {
      order_.reset();
      char byte;
      if (::read(orders.fd(), &byte, 1) != 1)
        ::_exit(1);
      const peer connected{address};
      while (::read(orders.fd(), &byte, 1) > 0) {
      }
      ::_exit(0);
    }
  }
  ~connecting_child() {
    order_.reset();
    int status = 0;
    CHECK(::waitpid(id, &status, 0) == id);
    CHECK(status == 0);
  }

  void connect() { CHECK(::write(order_.fd(), "!", 1) == 1); }

  pid_t id = -1;

 private:
  descriptor order_;
};

} // namespace

TEST_CASE("a Unix listener and its clients talk over a path or an abstract name", "[unix]") {
  const scratch_folder folder;
  const auto abstract = GENERATE(false, true);
  const auto where = "unix:" + (abstract ? fresh_address(carrier::local).substr(5) : folder / "socket");
  actor_world world{2};
  const auto log = make_journal(), client_log = make_journal();
  const auto boss = world.spawn(log), owner = world.spawn(client_log);
  listen_options options;
  options.path_mode = 0600;
  world.in(boss, [&](probe& self) { self.listen(where, options).each<unix_echo>(); });
  log->expect("listening");
  CHECK(world.of(boss, [](probe& self) { return self.local.to_string(); }) == where);
  if (!abstract)
    CHECK(std::filesystem::status(folder / "socket").permissions() == std::filesystem::perms(0600));
  world.in(owner, [&](probe& self) { self.connect_to(where).start(); });
  client_log->expect("connected");
  const auto conn = world.of(owner, [](probe& self) { return self.peer; });
  world.in(owner, [&](probe&) { conn.write("echo me"); });
  client_log->expect("received echo me");
  const auto info = world.info(conn);
  CHECK(info.peer.to_string() == where);
  CHECK(info.credentials.process == ::getpid());
  CHECK(info.credentials.user == ::geteuid());
  CHECK(info.credentials.group == ::getegid());
  world.in(owner, [&](probe&) { conn.close(); });
  client_log->expect("closed requested");
  world.end();
  CHECK_FALSE(std::filesystem::exists(folder / "socket"));
}

TEST_CASE("a Unix client that finds nobody is told so, and a path in use is not taken", "[unix]") {
  const scratch_folder folder;
  const auto where = "unix:" + folder / "socket";
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  world.in(owner, [&](probe& self) { self.connect_to(where).start(); });
  log->expect(with_cause("connect_failed", errc::no_such_path));
  world.in(owner, [&](probe& self) { self.listen(where).each<unix_echo>(); }); // also whoever looks if it is in use
  log->expect("listening");
  world.in(owner, [&](probe& self) { self.listen(where).start(); });
  log->expect(with_cause("listen_failed", errc::address_in_use));
  world.in(owner, [&](probe& self) { self.listen("unix:" + (folder / "none/socket")).start(); });
  log->expect(with_cause("listen_failed", errc::no_such_path));
}

TEST_CASE("a path that is moved or removed while its socket is open is told of and logged once", "[unix]") {
  const scratch_folder folder;
  const auto path = folder / "socket";
  captured_log complaints;
  net::manual_clock time;
  actor_world world{1, &time};
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  listener server;
  datagram_socket socket;
  const auto datagrams = GENERATE(false, true);
  world.in(boss, [&](probe& self) {
    if (datagrams)
      socket = self.bind("unixgram:" + path).start();
    else
      server = self.listen("unix:" + path).each<unix_echo>();
  });
  log->expect(datagrams ? "bound" : "listening");
  const auto is_lost = [&] {
    return datagrams ? world.ask<datagram::info>(socket, datagram::get_info{}).first->path_lost
                     : world.ask<listener_info>(server, get_listener_info{}).first->path_lost;
  };
  const auto a_minute_passes = [&] {
    time.advance(1min);
    world.settle();
    return complaints.lines.count_like("unix-path: ");
  };
  CHECK_FALSE(is_lost());
  CHECK(a_minute_passes() == 0);
  CHECK(a_minute_passes() == 0);
  const auto moved = GENERATE(false, true);
  if (moved)
    std::filesystem::rename(path, folder / "elsewhere");
  else
    std::filesystem::remove(path);
  CHECK(is_lost());
  CHECK(a_minute_passes() == 1);
  CHECK(complaints.lines.count_like("unix-path: unix") == 1);
  CHECK(a_minute_passes() == 1);
}

TEST_CASE("Unix datagrams go from path to path, and a full receiver delays the sender and loses nothing", "[unix]") {
  const scratch_folder folder;
  const auto here = folder / "here", there = folder / "there";
  actor_world world;
  const auto log = make_journal(), other_log = make_journal();
  const auto one = world.spawn(log), other = world.spawn(other_log);
  world.in(one, [&](probe& self) { self.bind("unixgram:" + here).start(); });
  world.in(other, [&](probe& self) { self.bind("unixgram:" + there).start(); });
  log->expect("bound");
  other_log->expect("bound");
  const auto to = net::endpoint::unix_datagram(there);
  world.in(other, [](probe& self) { self.socket.pause_reading(); });
  world.settle();
  constexpr std::uint64_t many = 400; // more than the kernel queues for one receiver
  world.in(one, [&](probe& self) {
    for (std::uint64_t i = 1; i <= many; ++i)
      self.socket.send_to(to, "datagram " + std::to_string(i), i);
  });
  world.settle();
  CHECK(log->count_like("sent ") < many);
  world.in(other, [](probe& self) { self.socket.resume_reading(); });
  log->expect("sent " + std::to_string(many));
  other_log->expect("datagram datagram " + std::to_string(many));
  CHECK(log->count_like("sent ") == many);
  CHECK(other_log->count_like("datagram ") == many);
  world.end();
  CHECK_FALSE(std::filesystem::exists(here));
  CHECK_FALSE(std::filesystem::exists(there));
}

TEST_CASE("a Unix listener's connection tells which process connected", "[unix]") {
  const auto where = fresh_address(carrier::local);
  connecting_child child{where}; // before there are threads
  actor_world world;
  const auto log = make_journal();
  const auto boss = world.spawn(log);
  world.in(boss, [&](probe& self) { self.listen(where).start(); });
  log->expect("listening");
  child.connect();
  log->expect("accepted");
  const auto conn = world.of(boss, [](probe& self) { return self.peer; });
  CHECK(world.info(conn).credentials == net::peer_credentials{child.id, ::geteuid(), ::getegid()});
  conn.abort();
}

TEST_CASE("descriptors that a peer attaches to a stream are closed with the bytes they came with", "[unix]") { // F33
  actor_world world;
  connected_pair pair{carrier::local};
  tube watched;
  attach(pair.far.fd(), watched.in.fd(), "x");
  watched.in.reset();
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  SECTION("when they are read") {
    world.adopt(pair, owner);
    log->expect("received x");
    CHECK(eventually([&] { return watched.ended(); }));
  }
  SECTION("when the connection ends and has not read them") {
    const auto abort = GENERATE(true, false);
    world.in(owner, [&](probe& self) {
      self.peer = world.adopt(pair, owner);
      self.peer.pause_reading();
    });
    world.settle();
    CHECK_FALSE(watched.ended());
    world.in(owner, [&](probe& self) { abort ? self.peer.abort() : self.peer.close(); });
    CHECK(eventually([&] { return watched.ended(); }));
    pair.far.close();
    log->expect_like("closed");
  }
}

TEST_CASE("descriptors that a peer attaches to a datagram are closed with it", "[unix]") { // F33
  const auto where = fresh_address(datagram_carrier::local);
  const datagram_peer far{datagram_carrier::local};
  actor_world world;
  const auto log = make_journal();
  const auto owner = world.spawn(log);
  world.in(owner, [&](probe& self) { self.bind(where).start(); });
  log->expect("bound");
  world.in(owner, [](probe& self) { self.socket.pause_reading(); });
  world.settle();
  tube watched;
  attach(far.fd(), watched.in.fd(), "x", where);
  watched.in.reset();
  world.settle();
  CHECK_FALSE(watched.ended());
  SECTION("when it is read") {
    world.in(owner, [](probe& self) { self.socket.resume_reading(); });
    log->expect("datagram x");
    CHECK(eventually([&] { return watched.ended(); }));
  }
  SECTION("when the socket ends and has not read it") {
    world.in(owner, [](probe& self) { self.socket.close(); });
    log->expect("datagram closed requested");
    CHECK(eventually([&] { return watched.ended(); }));
  }
}
