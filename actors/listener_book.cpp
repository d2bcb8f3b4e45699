#include "actnet/actors/listener_book.hpp"

#include "actnet/actors/connection_opener.hpp"
#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/loops.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace actnet {

class listener_book::slot final : public connection_slot {
 public:
  slot(std::shared_ptr<listener_book> book, std::shared_ptr<connection_slot> place,
       std::optional<net::ip_address> address) noexcept
      : book_(std::move(book)), place_(std::move(place)), address_(address) {}
  ~slot() override { book_->left(address_); }

  const connection_count* count() const noexcept override { return place_->count(); }
  listener_book* book() const noexcept override { return book_.get(); }

 private:
  std::shared_ptr<listener_book> book_;
  std::shared_ptr<connection_slot> place_; // given back after the rest, for that wakes whoever waits
  std::optional<net::ip_address> address_;
};

listener_book::listener_book(loops& all, const loop_host& home, std::string path, std::uint32_t max_per_address)
    : all_(all), home_(home), path_(std::move(path)), max_per_address_(max_per_address), ended_(all.size() + 1) {}

namespace {

/// Whoever has one address of IPv6 has all of its /64 (RFC 4291, section 2.5.4).
net::ip_address counted_as(const net::ip_address& peer) {
  const auto address = peer.unmapped();
  if (address.is_v4())
    return address;
  std::array<std::uint8_t, 16> network{};
  std::copy_n(address.bytes().begin(), 8, network.begin());
  return net::ip_address::v6(network, address.scope_id());
}

} // namespace

/// They are counted also without a limit, for one may be set later.
listener_book::entry listener_book::enter(const std::shared_ptr<connection_slot>& place, const net::endpoint& peer) {
  std::optional<net::ip_address> address;
  if (peer.is_ip()) {
    address = counted_as(peer.ip());
    std::lock_guard guard{mutex_};
    auto& count = by_address_[*address];
    const auto most = max_per_address_.load();
    if (most != 0 && count >= most) {
      ++refused_;
      return {};
    }
    ++count;
  }
  ++accepted_;
  return {std::make_shared<slot>(shared_from_this(), place, address), ++live_};
}

void listener_book::left(const std::optional<net::ip_address>& address) noexcept {
  --live_;
  if (!address)
    return;
  std::lock_guard guard{mutex_};
  const auto found = by_address_.find(*address);
  if (--found->second == 0)
    by_address_.erase(found);
}

void listener_book::ended(const loop_host& home, const net::connection_counters& moved) noexcept {
  auto& sum = ended_[all_.number_of(home)];
  sum.received += moved.bytes_received;
  sum.sent += moved.bytes_sent;
}

void listener_book::measure(std::function<void(const traffic&)> then) {
  struct sum {
    ~sum() { then({received.load(), sent.load()}); }
    std::atomic<std::uint64_t> received{0};
    std::atomic<std::uint64_t> sent{0};
    std::function<void(const traffic&)> then;
  };
  const auto all = std::make_shared<sum>();
  all->then = std::move(then);
  // In one turn of a loop none of its connections passes from the live to the ended.
  on_every_loop(all_, [book = shared_from_this(), all](loop_host& host, std::size_t index) {
    if (index == book->all_.size() && &host != &book->home_)
      return; // somebody else's own loop
    auto here = book->ended_[index];
    for_each_connection(host, [&](connection_actor& each) {
      if (each.slot()->book() == book.get()) {
        here.received += each.counters().bytes_received;
        here.sent += each.counters().bytes_sent;
      }
    });
    all->received += here.received;
    all->sent += here.sent;
  });
}

} // namespace actnet
