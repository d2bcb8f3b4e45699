#include "actnet/actors/blocking/blocking.hpp"

#include "actnet/actors/run.hpp"
#include "actnet/net/log.hpp"

#include <exception>
#include <optional>

namespace actnet::blocking {

namespace {

const settings& settings_of(caf::actor_system& system) {
  return loops::of(system).settings();
}

} // namespace

result<tcp_server> dialect::listen(caf::actor_system& system, endpoint_argument local) {
  return listen(system, std::move(local), settings_of(system).listener);
}

result<tcp_server> dialect::listen(caf::actor_system& system, endpoint_argument local, listen_options options) {
  return perform<sequential::listen_operation, sequential::made_into<tcp_server>>(loops::of(system).next(),
                                                                                  std::move(local), std::move(options));
}

result<stream_socket> dialect::connect(caf::actor_system& system, endpoint_argument remote, time_limit within,
                                       const std::stop_token& stop) {
  return connect(system, std::move(remote), settings_of(system).client, within, stop);
}

result<stream_socket> dialect::connect(caf::actor_system& system, endpoint_argument remote, connect_options options,
                                       time_limit within, const std::stop_token& stop) {
  sequential::connect_operation what{loops::of(system).next(), std::move(remote), within, std::move(options)};
  wait_for(what, stop);
  return converted<sequential::made_into<stream_socket>>(what.take());
}

result<stream_socket> dialect::adopt(caf::actor_system& system, int descriptor) {
  return perform<sequential::adopt_operation, sequential::made_into<stream_socket>>(loops::of(system).next(),
                                                                                    descriptor);
}

result<udp_socket> dialect::bind(caf::actor_system& system, endpoint_argument local) {
  return bind(system, std::move(local), settings_of(system).datagram);
}

result<udp_socket> dialect::bind(caf::actor_system& system, endpoint_argument local, bind_options options) {
  return perform<sequential::bind_operation, sequential::made_into<udp_socket>>(loops::of(system).next(),
                                                                                std::move(local), std::move(options));
}

int detail::run_with(CLI::App* cli, int argc, char** argv, const program& fun) {
  run_options options;
  if (const auto done = actnet::detail::read_command_line(cli, argc, argv, options))
    return *done;
  actnet::detail::prepare_process(options.settings);
  config cfg;
  actnet::detail::configure(cfg, options.settings);
  std::optional<caf::actor_system> system;
  try {
    system.emplace(cfg);
  } catch (const std::exception& mistake) {
    actnet::detail::cannot_start(options.program, mistake);
  }
  system->await_actors_before_shutdown(false);
  try {
    return fun(*system);
  } catch (const std::exception& mistake) {
    net::say(options.program + ": " + mistake.what() + "\n");
    return 1;
  }
}

} // namespace actnet::blocking
