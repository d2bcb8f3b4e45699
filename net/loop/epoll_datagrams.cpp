// How the epoll backend receives and sends datagrams.
#include "actnet/net/loop/epoll_backend.hpp"

#include <array>
#include <span>
#include <utility>

namespace actnet::net {

namespace {

constexpr int datagrams_per_turn = 32;
constexpr int datagrams_in_a_row = 8; ///< At most so many reach their target before the end of a turn.

} // namespace

void epoll_backend::receive_datagrams(slot& s) noexcept {
  const auto which = s.which;
  auto& target = target_of<datagram_target>(s);
  int errors = 0;
  int in_a_row = 0; // whose turn has not ended
  const auto end_turn = [&] {
    if (std::exchange(in_a_row, 0) > 0)
      loop_->after_turn();
  };
  for (int count = 0; s.which == which && s.reading && s.readable; ++count) {
    if (count == datagrams_per_turn) {
      if (errors == count) // the kernel tells an error once, so this one is of another kind: wait for an edge
        s.readable = false;
      else
        go_on(s);
      break;
    }
    auto& buffer = scratch();
    auto got = static_cast<datagram_socket*>(s.owned)->receive({buffer.data(), block_pool::read_bytes});
    if (got) {
      ++in_a_row;
      if (!target.on_datagram(take_received(got->size), *got) || in_a_row == datagrams_in_a_row)
        end_turn();
    } else if (got.error() == errc::would_block) {
      s.readable = false;
      break;
    } else {
      ++errors;
      ++in_a_row;
      target.on_receive_error(got.error());
      end_turn();
    }
  }
  end_turn();
}

void epoll_backend::send_datagrams(slot& s) noexcept {
  const auto which = s.which;
  auto& target = target_of<datagram_target>(s);
  s.sending = true;
  for (std::size_t sends = 0; sends < datagrams_per_turn;) {
    std::array<outgoing_datagram, datagram_socket::sent_at_once_max> all;
    const std::span next{all.data(), target.gather(all)};
    if (s.which != which)
      return;
    if (next.empty()) {
      s.sending = false;
      return;
    }
    auto sent = static_cast<datagram_socket*>(s.owned)->send(next);
    if (!sent && sent.error() == errc::connection_refused && !s.local) {
      // An earlier datagram was refused; the kernel says so here, once, and has not sent this one.
      target.on_receive_error(sent.error());
      if (s.which != which)
        return;
      sent = static_cast<datagram_socket*>(s.owned)->send(next);
    }
    if (!sent && sent.error() == errc::would_block) {
      const bool announced = !s.local || next.front().to == nullptr; // only where the socket is connected to
      const bool put_aside = !announced && target.on_receiver_full();
      if (s.which != which)
        return;
      if (put_aside) {
        ++sends;
        continue;
      }
      s.sending = false;
      s.writable = false;
      if (announced)
        await_room(s);
      else
        try_again_soon(s);
      return;
    }
    const auto done = sent ? *sent : 1;
    for (std::size_t i = 0; i < done; ++i) {
      target.on_datagram_sent(sent ? std::error_code{} : sent.error());
      if (s.which != which)
        return;
    }
    sends += done;
  }
  send_later(s);
}

} // namespace actnet::net
