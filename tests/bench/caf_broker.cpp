// A peer to compare with: an echo server on CAF's own brokers (caf::io), one broker per connection, settings as they
// come. Usage: caf_broker PORT [udp], on 127.0.0.1.
#include <sysexits.h>

#include <cstdio>

#if __has_include(<caf/io/all.hpp>)
#include <caf/all.hpp>
#include <caf/io/all.hpp>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using caf::io::broker;

constexpr auto local = "127.0.0.1";

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "caf_broker: %s\n", what);
  std::exit(EX_OSERR);
}

caf::behavior connection(broker* self, caf::io::connection_handle peer) {
  self->configure_read(peer, caf::io::receive_policy::at_most(16384));
  return {
      [=](const caf::io::new_data_msg& got) {
        self->write(got.handle, got.buf.size(), got.buf.data());
        self->flush(got.handle);
      },
      [=](const caf::io::connection_closed_msg&) { self->quit(); },
  };
}

caf::behavior listener(broker* self, std::uint16_t port) {
  if (!self->add_tcp_doorman(port, local, true))
    fail("cannot listen");
  return {
      [=](const caf::io::new_connection_msg& got) { self->fork(connection, got.handle); },
      [=](const caf::io::acceptor_closed_msg&) { self->quit(); },
  };
}

caf::behavior udp_echo(broker* self, std::uint16_t port) {
  if (!self->add_udp_datagram_servant(port, local))
    fail("cannot bind");
  return {
      [=](const caf::io::new_datagram_msg& got) {
        self->write(got.handle, got.buf.size(), got.buf.data());
        self->flush(got.handle);
      },
      [=](const caf::io::datagram_servant_closed_msg&) { self->quit(); },
  };
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: caf_broker PORT [udp]\n", stderr);
    return EX_USAGE;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  caf::actor_system_config config;
  config.load<caf::io::middleman>();
  caf::actor_system system{config};
  const bool udp = argc > 2 && std::string_view(argv[2]) == "udp";
  system.middleman().spawn_broker(udp ? udp_echo : listener, port);
  system.await_all_actors_done();
}

#else

int main() {
  std::fputs("built without CAF's I/O module, its headers were missing\n", stderr);
  return EX_UNAVAILABLE;
}

#endif
