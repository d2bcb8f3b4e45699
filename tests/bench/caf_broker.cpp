// A peer to compare with: CAF's own brokers (caf::io), one broker per connection, settings as they come. They know
// neither Unix sockets nor, in this comparison, a proxy.
#include <caf/all.hpp>
#include <caf/io/all.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "echo_server.hpp"

namespace {

using caf::io::broker;

constexpr auto local = "127.0.0.1";

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "caf_broker: %s\n", what);
  std::exit(1);
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

caf::behavior listener(broker* self) {
  const auto opened = self->add_tcp_doorman(0, local);
  if (!opened)
    fail("cannot listen");
  actnet::bench::say_listening_on_port(opened->second);
  return {
      [=](const caf::io::new_connection_msg& got) { self->fork(connection, got.handle); },
      [=](const caf::io::acceptor_closed_msg&) { self->quit(); },
  };
}

caf::behavior udp_echo(broker* self) {
  const auto opened = self->add_udp_datagram_servant(0, local);
  if (!opened)
    fail("cannot bind");
  actnet::bench::say_listening_on_port(opened->second);
  return {
      [=](const caf::io::new_datagram_msg& got) {
        self->write(got.handle, got.buf.size(), got.buf.data());
        self->flush(got.handle);
      },
      [=](const caf::io::datagram_servant_closed_msg&) { self->quit(); },
  };
}

std::string version() {
  return "CAF " + std::to_string(CAF_VERSION / 10000) + "." + std::to_string(CAF_VERSION / 100 % 100) + "." +
         std::to_string(CAF_VERSION % 100);
}

} // namespace

int main(int argc, char** argv) {
  const auto order = actnet::bench::read_server_order(argc, argv, version(), {"tcp", "udp"});
  caf::actor_system_config config;
  config.load<caf::io::middleman>();
  caf::actor_system system{config};
  system.middleman().spawn_broker(order.work == "udp" ? udp_echo : listener);
  system.await_all_actors_done();
}
