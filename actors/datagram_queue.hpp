// What a datagram socket has to send: one queue, beside which waits what is for receivers that have no room. No socket
// and no clock in it.
#pragma once

#include "actnet/net/address/endpoint.hpp"
#include "actnet/net/bytes/bytes.hpp"
#include "actnet/net/bytes/file_source.hpp"
#include "actnet/net/error.hpp"
#include "actnet/net/loop/clock.hpp"

#include <caf/actor_control_block.hpp>
#include <caf/message_id.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace actnet {

struct queued_datagram {
  net::bytes payload;
  std::unique_ptr<net::file_source> file; // read into `payload` when its turn comes
  std::size_t room = 0;                   // reserved for it
  std::optional<net::endpoint> to;
  std::optional<net::ip_address> from;
  std::uint64_t token = 0;
  caf::strong_actor_ptr sender;
  bool by_owner = false; // the socket's owner sent it: the usual case, without a reference
  caf::message_id request;
  net::errc refusal = net::errc::none; // why it was never queued
};

/// Keeps the order of what is for one receiver.
class datagram_queue {
 public:
  /// Nothing is left, nor waits apart.
  bool empty() const noexcept { return next_ == queue_.size() && apart_.empty(); }

  void push(queued_datagram item) { queue_.push_back(std::move(item)); }
  /// An empty one, to be filled in before anything else happens here.
  queued_datagram& push() { return queue_.emplace_back(); }

  /// The one at `place` of those to be sent next, in this order; null if there are no more of them. Place 0 comes first
  /// and again after every change.
  queued_datagram* next(std::size_t place);

  /// Whether there is one.
  bool has_next() const noexcept { return next_ < queue_.size() || !tried_.empty(); }

  /// The first of those, if there is one.
  const queued_datagram& first() const noexcept {
    return tried_.empty() ? queue_[next_] : apart_.find(tried_.back())->second.items.front();
  }

  /// Takes out the first of those. `now`: its receiver has room.
  queued_datagram take(net::time_point now);
  /// The same, when nobody needs it any more.
  void drop(net::time_point now);

  /// The receiver of the first of those has no room: what is for it waits apart until `try_again`. The first has an
  /// address.
  void put_apart(net::time_point now);

  /// What waits apart is next.
  void try_again();

  /// Takes out what waits apart for a receiver that has had no room for so long.
  std::vector<queued_datagram> take_stalled(net::time_point now, net::duration time);

  /// Whether some that wait apart have not been tried yet since `try_again`.
  bool is_trying() const noexcept { return !tried_.empty(); }

  /// Whether some wait for those before them, or for room in the kernel.
  bool has_line() const noexcept { return next_ < queue_.size(); }
  /// Takes out the first of these and all others for the same receiver.
  std::vector<queued_datagram> take_first_of_line();

  std::vector<queued_datagram> take_all();

  template <class F>
  void for_each(F f) {
    for (auto& [to, each] : apart_)
      for (auto& item : each.items)
        f(item);
    for (auto i = next_; i < queue_.size(); ++i)
      f(queue_[i]);
  }

 private:
  struct lane {
    std::deque<queued_datagram> items; // never empty
    net::time_point since;             // without room
  };
  using lanes = std::unordered_map<net::endpoint, lane>;

  queued_datagram take_queued();
  void forget_taken();
  lanes::iterator lane_of(const queued_datagram& item);

  std::vector<queued_datagram> queue_; // its memory stays; what is before `next_` has been taken
  std::size_t next_ = 0;
  lanes apart_;
  std::vector<net::endpoint> tried_; // keys of those of them that are next, the last one first
};

} // namespace actnet
