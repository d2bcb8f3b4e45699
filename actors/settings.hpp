// Every setting of the library as one plain value. The member initialisers here and in the options are the built-in
// defaults; config/default.toml tells what each is for, and config_file.hpp reads a file like it.
#pragma once

#include "actnet/actors/options.hpp"
#include "actnet/actors/supervision/options.hpp"
#include "actnet/net/log.hpp"
#include "actnet/net/loop/loop.hpp"

#include <chrono>
#include <cstddef>

namespace actnet {

struct loops_options {
  /// Loops and their threads; 0: one for each processor this process may use (see net/processors.hpp).
  std::size_t count = 0;
  std::chrono::milliseconds turn_alarm{25}; ///< A longer turn is logged, with its actor. Zero: none is.
  net::clock* time = nullptr;               ///< Null: the monotonic clock.
  net::backend_factory make_backend;        ///< Empty: epoll.
};

/// What an actor system begins with, and what its sockets have that are opened without options of their own.
struct settings {
  loops_options loops;

  // -- only for `actnet::run` ----------------------------------------------------------------

  /// Threads of CAF's scheduler, for `placement::scheduler`: handlers that compute. They sleep while there is nothing
  /// to compute. 0: one for each processor this process may use. An actor system of your own has CAF's
  /// `scheduler.max-threads`.
  std::size_t scheduler_threads = 0;
  /// What the connections of a program that is told to stop have to end by themselves.
  std::chrono::milliseconds drain_deadline{5'000};
  /// Of the main actor.
  supervisor_options supervisor;
  /// ACTNET_LOG in the environment has the last word.
  net::log_level log_level = net::log_level::info;

  // -- for sockets ---------------------------------------------------------------------------

  listen_options listener;
  connect_options client; ///< Its `connection` is for adopted connections too.
  bind_options datagram;
};

} // namespace actnet
