// The blocking dialect: sockets for threads, scripts and tests, over the same actors as everything else.
//
//   auto server = tcp_server::bind(system, "127.0.0.1:9999").get();
//   auto peer = server.accept().get();
//   peer.write(peer.read(32).get()).get();
//
// Every call waits in the calling thread, which must not be a loop's: there it answers `would_block_the_loop`. Any
// other thread may call; one at a time reads from a socket and one at a time writes to it. When a socket's last handle
// goes while a thread still waits in it, that call ends with `closed`. When the actor system ends, so do the calls that
// wait (`shutting_down` or `closed`); none may begin after that, as with any actor of a system that is gone.
#pragma once

#include "actnet/actors/blocking/dialect.hpp"
#include "actnet/actors/loops.hpp"
#include "actnet/actors/sequential/basic_stream.hpp"

#include <functional>
#include <stop_token>
#include <string_view>
#include <type_traits>
#include <utility>

namespace CLI {
class App;
}

namespace actnet::blocking {

/// A connected stream, whichever side it is of. `connect(system, remote, ...)` takes, in this order and all of them
/// optional, `connect_options`, a `time_limit`, and a `std::stop_token`: to ask for its stop ends the attempt with
/// `cancelled`. Without a limit the options say how long it may take. `adopt(system, descriptor)`.
using tcp_client = sequential::basic_stream<dialect>;
using stream_socket = tcp_client;

/// `bind(system, local)`, and perhaps `listen_options`. Its connections are dealt out to the loops.
using tcp_server = sequential::basic_server<dialect>;
using sequential::stop_handle;

/// `bind(system, local)`, and perhaps `bind_options`.
using udp_socket = sequential::basic_datagram_socket<dialect>;

// The same for Unix sockets, with a path, or `@NAME` for an abstract name.

struct unix_server {
  template <class... Options>
  static result<tcp_server> bind(caf::actor_system& system, std::string_view path, Options... options) {
    return tcp_server::bind(system, sequential::unix_endpoint(path), std::move(options)...);
  }
};

struct unix_client {
  template <class... Options>
  static result<stream_socket> connect(caf::actor_system& system, std::string_view path, Options... options) {
    return stream_socket::connect(system, sequential::unix_endpoint(path), std::move(options)...);
  }
};

struct unix_datagram {
  template <class... Options>
  static result<udp_socket> bind(caf::actor_system& system, std::string_view path, Options... options) {
    return udp_socket::bind(system, sequential::unix_datagram_endpoint(path), std::move(options)...);
  }
};

namespace detail {

using program = std::function<int(caf::actor_system&)>;

int run_with(CLI::App* cli, int argc, char** argv, const program& fun);

template <class F>
program as_program(F fun) {
  if constexpr (std::is_void_v<std::invoke_result_t<F, caf::actor_system&>>)
    return [fun = std::move(fun)](caf::actor_system& system) mutable {
      fun(system);
      return 0;
    };
  else
    return fun;
}

} // namespace detail

/// Runs a program whose sockets are blocking ones: `fun(caf::actor_system&)` in the calling thread. Answers what that
/// returns (nothing: 0); an exception is one line on stderr and answers 1. The command line is read as by
/// `actnet::run`. Signals do what they do by default, so that Ctrl-C ends it at once.
template <class F>
int run(int argc, char** argv, F fun) {
  return detail::run_with(nullptr, argc, argv, detail::as_program(std::move(fun)));
}

/// The same for a program whose options `cli` describes.
template <class F>
int run(CLI::App& cli, int argc, char** argv, F fun) {
  return detail::run_with(&cli, argc, argv, detail::as_program(std::move(fun)));
}

} // namespace actnet::blocking
