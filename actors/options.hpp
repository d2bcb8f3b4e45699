// The options of listeners, clients and datagram sockets, all with defaults that serve.
#pragma once

#include "actnet/actors/supervision/backoff.hpp"
#include "actnet/net/connection/connection.hpp"
#include "actnet/net/socket/options.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace actnet {

using net::connection_options;
using net::slow_peer;

/// Socket options in the order in which they are set.
struct socket_options {
  std::vector<net::socket_option> list;
  bool operator==(const socket_options&) const = default;
};

/// An option in a form that can travel to another node and be printed.
struct plain_option {
  std::uint8_t kind = 0; ///< Its place in `net::socket_option`.
  std::vector<std::int64_t> numbers;
  std::string address;
  std::string interface_address;
};

std::vector<plain_option> to_plain(const socket_options& options);
/// What cannot be read is left out.
socket_options from_plain(const std::vector<plain_option>& plain);

/// Where the actor that handles a connection lives.
enum class placement : std::uint8_t {
  loop,      ///< On the connection's own loop: no lock, no wake-up, no change of thread.
  scheduler, ///< On CAF's scheduler: for handlers that compute.
  own_loop,  ///< On a loop and a thread of its own: for handlers that block.
};

/// How accepted connections are spread over the loops.
enum class shard : std::uint8_t {
  round_robin, ///< One listening socket; its loop deals connections out in turn.
  reuse_port,  ///< A listening socket per loop (SO_REUSEPORT); the kernel spreads. For high churn.
};

/// When the owner of a listener is told that there are many connections (`connections_alarm`).
struct connection_alarm {
  std::uint32_t threshold = 0;                ///< Accepted and still alive. 0: never.
  std::chrono::milliseconds cooldown{60'000}; ///< Without another one.
  bool operator==(const connection_alarm&) const = default;
};

struct listen_options {
  std::uint32_t max_connections = 0; ///< At once; more wait in the backlog. 0: no limit.
  /// Connections per second, over all loops; more wait in the backlog. As many may come at once after a second without
  /// any, and with `shard::reuse_port` one more for each further loop. 0: no limit.
  std::uint32_t accept_rate = 0;
  /// At once from one IPv4 address or one /64 of IPv6; more are accepted and reset. Unix peers are not counted. 0: no
  /// limit.
  std::uint32_t max_per_address = 0;
  actnet::connection_alarm connection_alarm;
  int backlog = 4096;
  actnet::shard shard = shard::round_robin;
  bool same_loop = false; ///< As its opener, if that lives on one, and its connections too. Not with `reuse_port`.
  placement handlers = placement::loop;
  bool reuse_address = true;
  std::optional<bool> v6_only;
  std::optional<mode_t> path_mode;             ///< Who may connect to a Unix path; none: as the umask says.
  std::chrono::milliseconds accept_pause{100}; ///< When descriptors or memory have run out.
  socket_options sockets;                      ///< Set on each accepted connection. TCP: no_delay is set before.
  /// Of each accepted connection. If the owner gets `accepted`, it has the handshake deadline to claim it.
  connection_options connection = server_defaults();

  bool operator==(const listen_options&) const = default;

  static connection_options server_defaults() {
    connection_options options;
    options.idle_timeout = std::chrono::seconds{60};
    return options;
  }
};

struct connect_options {
  std::chrono::milliseconds deadline{5'000}; ///< Zero: as long as the kernel tries.
  std::optional<net::endpoint> local;        ///< Where to connect from.
  bool same_loop = false;                    ///< As its opener, if that lives on one; else dealt out in turn.
  /// Connects again after so long, whenever an attempt fails or the connection has ended, until it drains; for clients
  /// that are opened with a place to connect to. None: connects once.
  std::optional<backoff_options> reconnect;
  placement handlers = placement::loop;
  socket_options sockets; ///< TCP: no_delay is set before.
  connection_options connection;

  bool operator==(const connect_options&) const = default;
};

struct bind_options {
  std::uint32_t read_credit_bytes = 256 * 1024;
  std::uint32_t write_low_bytes = 64 * 1024;
  std::uint32_t write_high_bytes = 1024 * 1024;
  /// For so long a datagram waits for a Unix receiver that takes none; then it and what is behind it for the same one
  /// fail with `write_stalled`. UDP never waits. Zero: without end.
  std::chrono::milliseconds write_stall{30'000};
  std::optional<mode_t> path_mode; ///< Who may send to a Unix path; none: as the umask says.
  bool same_loop = false;          ///< As its opener, if that lives on one.
  placement handlers = placement::loop;
  socket_options sockets;

  bool operator==(const bind_options&) const = default;
};

} // namespace actnet
