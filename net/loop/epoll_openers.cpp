// How the epoll backend connects and accepts.
#include "actnet/net/loop/epoll_backend.hpp"

namespace actnet::net {

namespace {

constexpr int accepts_per_turn = 64;
constexpr int aborted_in_a_row_max = 64;

/// Whether accept(2) failed for good or for want of something, and not because of the connection it took from the
/// backlog. Anything that Linux does not list there counts as the connection's: a run of those is bounded anyway.
bool stops_accepting(std::error_code cause) noexcept {
  return cause == errc::too_many_open_files || cause == errc::out_of_memory || cause == errc::bad_descriptor ||
         cause == errc::invalid_argument;
}

} // namespace

void epoll_backend::connected(slot& s) noexcept {
  if (s.ended)
    return;
  const auto done = static_cast<stream_socket*>(s.owned)->finish_connect();
  if (!done && done.error() == errc::would_block)
    return; // a spurious edge: the handshake still goes on
  s.ended = true;
  target_of<connect_target>(s).on_connected(done ? std::error_code{} : done.error());
  loop_->after_turn();
}

void epoll_backend::accept(slot& s) noexcept {
  const auto which = s.which;
  auto& target = target_of<listener_target>(s);
  for (int accepts = 0; s.which == which && s.readable && !s.stopped; ++accepts) {
    if (accepts == accepts_per_turn) {
      go_on(s);
      return;
    }
    s.stopped = true; // unless it is wanted; `accept_more` may be called from any of the callbacks
    if (!target.wants_connection() || s.which != which)
      return;
    s.stopped = false;
    auto got = static_cast<listener_socket*>(s.owned)->accept();
    if (got) {
      s.aborted_in_a_row = 0;
      target.on_accepted(std::move(*got));
    } else if (got.error() == errc::would_block && !s.to_the_end) {
      s.readable = false;
      target.on_accept_failed(got.error());
    } else if (got.error() == errc::would_block) { // all that a Unix listener says that somebody else has shut down
      s.stopped = true;
      target.on_accept_failed(errc::invalid_argument);
    } else if (!stops_accepting(got.error()) && s.aborted_in_a_row < aborted_in_a_row_max) {
      ++s.aborted_in_a_row;
      target.on_accept_failed(errc::connection_aborted);
    } else {
      s.aborted_in_a_row = 0;
      s.stopped = true;
      // As `connection_aborted` it would say that accepting goes on.
      target.on_accept_failed(got.error() == errc::connection_aborted ? make_error_code(errc::other) : got.error());
    }
    loop_->after_turn();
  }
}

} // namespace actnet::net
