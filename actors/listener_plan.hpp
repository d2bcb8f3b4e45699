// What the shards of a listener share, and what a supervised one leaves to its successor.
#pragma once

#include "actnet/actors/accept_rate.hpp"
#include "actnet/actors/connection_opener.hpp"
#include "actnet/actors/listener_book.hpp"
#include "actnet/actors/messages.hpp"
#include "actnet/actors/options.hpp"
#include "actnet/actors/supervision/child_spec.hpp"
#include "actnet/net/socket/listener_socket.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace actnet {

struct listener_plan final : kept_socket {
  listener_plan(loops& every, net::endpoint where, listen_options how, connection_handler_factory make,
                caf::strong_actor_ptr whose, std::string path);

  /// Whether its shards, if it has some, are one for each loop and keep what they accept. `localhost` has two on the
  /// same loop, one for each address.
  bool deals_by_loop() const noexcept { return local.is_ip() && !local.is_localhost(); }

  /// Takes one of the allowed ones.
  bool take_allowed() noexcept;
  void give_back_allowed() noexcept;

  /// Any thread. All shards have to look again.
  void change(const set_limits& limits) noexcept;

  /// Whether the owner is to be told that there are so many connections. Any thread; of those that ask at the same time
  /// one is told so.
  bool alarm_is_due(std::uint32_t live, net::time_point now) noexcept;

  /// The listener has ended, and its shards: what they left is for its successor, or is closed if there is none.
  void leave() noexcept;

  /// Any thread.
  void abandon() noexcept override;
  void drop_connections(bool abort) noexcept override;

  loops& all;
  const std::shared_ptr<loop_host> home; ///< Of the listener.
  const net::endpoint local;             ///< As asked for.
  const listen_options options;
  const connection_handler_factory make_handler; ///< Empty: the owner gets `accepted`.
  const caf::strong_actor_ptr owner;
  const bool supervised; ///< By its owner.
  const std::shared_ptr<connection_count> count;
  const std::shared_ptr<listener_book> book;
  accept_rate rate;
  /// Open ones: one for each loop if it is sharded, by the loop's number, or one for each address of `localhost`,
  /// otherwise one. Each belongs to its shard's
  /// loop while that runs. None: `local` is to be opened.
  std::vector<net::listener_socket> sockets;
  /// How many more may be accepted, as `resume_accepting{n}` says; negative: any number.
  std::atomic<std::int64_t> allowed{-1};
  std::atomic<bool> paused{false};
  std::atomic<net::time_point::rep> no_alarm_until{std::numeric_limits<net::time_point::rep>::min()};
  std::atomic<std::uint32_t> alarm_threshold;
  std::atomic<std::chrono::milliseconds::rep> alarm_cooldown;
  std::atomic<std::chrono::milliseconds::rep> handshake_deadline; ///< Of those accepted from now on.
  /// Who fails leaves its sockets open, for somebody comes after it.
  std::atomic<bool> kept{false};
  std::atomic<bool> left_open{false}; ///< The last one did, and nobody has come yet.

 private:
  void close_what_is_left() noexcept;
};

} // namespace actnet
