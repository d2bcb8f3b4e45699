// The coroutine dialect: a handler that reads as if it blocked, on the loop of its sockets.
//
//   task<> echo(stream_socket peer) {
//     while (auto line = co_await peer.read_line())
//       if (!co_await peer.print(line->view()))
//         break;
//   }
//   serve(self, "127.0.0.1:9999", echo);
//
// A coroutine runs in an actor, and every socket that it opens lives on that actor's loop; one of another loop answers
// `wrong_loop`. At most one coroutine at a time reads from a stream, and one writes. What a coroutine throws ends its
// actor; its streams are reset then. A coroutine that is destroyed calls off what it waits for.
#pragma once

#include "actnet/actors/coroutine/awaiting.hpp"
#include "actnet/actors/coroutine/task.hpp"
#include "actnet/actors/run.hpp"
#include "actnet/actors/sequential/basic_stream.hpp"

#include <functional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace actnet::coroutine {

namespace detail {

/// The loop of the coroutine that is running. Throws `std::logic_error` outside of one.
loop_host& here();

const settings& settings_here();

} // namespace detail

struct dialect {
  template <class Operation, class Convert = sequential::as_it_is, class... Args>
  static auto perform(Args&&... args) {
    return pending<Operation, Convert, std::decay_t<Args>...>{std::forward<Args>(args)...};
  }

  /// On the loop of the coroutine that is running.
  template <class Operation, class Socket, class... Args>
  static auto open(Args&&... args) {
    return perform<Operation, sequential::made_into<Socket>>(std::ref(detail::here()), std::forward<Args>(args)...);
  }

  // Options need a name: g++ 12 destroys temporary aggregates of an awaited call twice.
  static void listen(endpoint_argument, listen_options&&) = delete;
  static void connect(endpoint_argument, connect_options&&, time_limit = {}) = delete;
  static void bind(endpoint_argument, bind_options&&) = delete;

  static auto listen(endpoint_argument local, const listen_options& options = detail::settings_here().listener) {
    auto here = options;
    here.same_loop = true;
    return open<sequential::listen_operation, sequential::basic_server<dialect>>(std::move(local), std::move(here));
  }
  static auto connect(endpoint_argument remote, const connect_options& options, time_limit within = {}) {
    return open<sequential::connect_operation, sequential::basic_stream<dialect>>(std::move(remote), within, options);
  }
  static auto connect(endpoint_argument remote, time_limit within = {}) {
    return connect(std::move(remote), detail::settings_here().client, within);
  }
  static auto adopt(int descriptor) {
    return open<sequential::adopt_operation, sequential::basic_stream<dialect>>(descriptor);
  }
  static auto bind(endpoint_argument local, const bind_options& options = detail::settings_here().datagram) {
    return open<sequential::bind_operation, sequential::basic_datagram_socket<dialect>>(std::move(local), options);
  }
};

/// A connected stream, whichever side it is of. `connect(remote)` takes `connect_options` and a `time_limit` too;
/// `adopt(descriptor)`.
using tcp_client = sequential::basic_stream<dialect>;
using stream_socket = tcp_client;

/// `bind(local)`, and perhaps `listen_options`. Its connections live on its loop; `serve` deals them out to all.
using tcp_server = sequential::basic_server<dialect>;
using sequential::stop_handle;

/// `bind(local)`, and perhaps `bind_options`.
using udp_socket = sequential::basic_datagram_socket<dialect>;

// The same for Unix sockets, with a path, or `@NAME` for an abstract name.

struct unix_server {
  template <class... Options>
  static auto bind(std::string_view path, const Options&... options) {
    return tcp_server::bind(sequential::unix_endpoint(path), options...);
  }
};

struct unix_client {
  template <class... Options>
  static auto connect(std::string_view path, const Options&... options) {
    return stream_socket::connect(sequential::unix_endpoint(path), options...);
  }
};

struct unix_datagram {
  template <class... Options>
  static auto bind(std::string_view path, const Options&... options) {
    return udp_socket::bind(sequential::unix_datagram_endpoint(path), options...);
  }
};

/// `receive<caf::down_msg>()` will tell the end of `whom`; if it has ended, at once, and so of nobody
/// (`invalid_argument`).
void monitor(const caf::actor& whom);

// -- running coroutines ----------------------------------------------------------------------------------

namespace detail {

/// A callable with something in it lives as long as its coroutine.
template <class F, class... Args>
task<> hold(F fun, Args... args) {
  co_await fun(std::move(args)...);
}

template <class F, class... Args>
task<> begin(F fun, Args... args) {
  if constexpr (std::is_pointer_v<F> || std::is_empty_v<F>)
    return fun(std::move(args)...);
  else
    return hold(std::move(fun), std::move(args)...);
}

} // namespace detail

/// Runs `fun(args...)` in an actor of its own, on this coroutine's loop; the sockets among `args` go with it. What it
/// throws ends that actor alone. A program that is told to stop waits for it until the drain deadline.
template <class F, class... Args>
caf::actor spawn(F fun, Args... args) {
  return coroutine_actor::make(detail::here(), detail::begin(std::move(fun), std::move(args)...),
                               coroutine_actor::role::part_of_program);
}

/// The same on a loop.
template <class F, class... Args>
caf::actor spawn_coroutine(loop_host& where, F fun, Args... args) {
  return coroutine_actor::make(where, detail::begin(std::move(fun), std::move(args)...));
}

/// A listener of `self` that runs `fun(stream_socket)`, a coroutine, for each connection, in an actor of its own on the
/// connection's loop.
template <class F>
listener serve(handler& self, endpoint_argument local, F fun, listen_options options) {
  options.connection = sequential::on_demand(options.connection);
  return self.listen(std::move(local), std::move(options))
      .start([fun = std::move(fun)](loop_host& home, const connection& opened) {
        auto held = sequential::stream_owner::make(home, opened);
        auto owner = caf::actor_cast<caf::actor>(held->pointer());
        spawn_coroutine(home, fun, stream_socket{std::move(held)});
        return owner;
      });
}
template <class F>
listener serve(handler& self, endpoint_argument local, F fun) {
  return serve(self, std::move(local), std::move(fun), self.settings().listener);
}

namespace detail {

template <class F>
auto as_program(F fun) {
  return [fun = std::move(fun)](main_actor& self) {
    coroutine_actor::make(*self.home(), begin(fun), coroutine_actor::role::program);
  };
}

} // namespace detail

/// A program whose first actor runs `fun()`, a coroutine, and which ends with it: with 0, or with 1 and a line on
/// stderr if it throws. All else is as by `actnet::run`.
template <class F>
int run(int argc, char** argv, F fun) {
  return actnet::run(argc, argv, detail::as_program(std::move(fun)));
}

/// The same for a program whose options `cli` describes.
template <class F>
int run(CLI::App& cli, int argc, char** argv, F fun) {
  return actnet::run(cli, argc, argv, detail::as_program(std::move(fun)));
}

} // namespace actnet::coroutine
