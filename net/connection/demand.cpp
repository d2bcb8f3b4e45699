// How a connection is read on demand, and in frames.
#include "actnet/net/connection/demand.hpp"

#include <cassert>
#include <utility>

namespace actnet::net {

bool connection::pulls() const noexcept {
  return demand_ && demand_->pulling;
}

bool connection::has_unread() const noexcept {
  return demand_ && demand_->reader.unread_bytes() > 0;
}

/// As far as the owner goes. On demand: one read ahead.
bool connection::wants_bytes() const noexcept {
  if (pulls())
    return !demand_->goes_on_next_round() && (demand_->reader.wants_bytes() || demand_->reader.unread_bytes() == 0);
  if (reads_frames())
    return delivers() && !demand_->frame_waits;
  return delivers() && !has_unread();
}

connection::demand& connection::demanded() {
  if (!demand_) {
    demand_ = std::make_unique<demand>(*this);
    demand_->pulling = false;
    if (state_ == connection_state::closed) {
      demand_->reader.end(last_error_ ? last_error_ : make_error_code(errc::closed));
      demand_->reader.give_all();
    } else if (read_ended_ || discard_) {
      demand_->reader.end(read_cause_);
    }
  }
  return *demand_;
}

void connection::read_on_demand() {
  demanded().pulling = true;
  demand_->pushes_next = false;
}

void connection::set_framing(std::optional<framing> how, bool only_reads) {
  demanded().reader.set_framing(std::move(how));
  demand_->only_reads = only_reads;
  demand_->frame_waits = false;
  if (channel_ != channel::none)
    note();
}

bool connection::reads_frames() const noexcept {
  return demand_ && demand_->reader.frames();
}

const framing* connection::write_framing() const noexcept {
  return reads_frames() && !demand_->only_reads ? &*demand_->reader.frames() : nullptr;
}

void connection::replace_payload(write_item& item, bytes payload) noexcept {
  assert(item.is_write);
  give_back(item);
  std::swap(item.payload, payload);
  if (payload.is_charged())
    item.held = std::move(payload);
  item.is_frame = true;
  reserved_.add_here(item.payload.size() + item_overhead_bytes);
}

void connection::reject(write_item& item, errc cause) noexcept {
  give_back(item);
  refuse(item, cause);
}

void connection::pull(net::pull& what) {
  read_on_demand();
  auto& reader = demand_->reader;
  reader.queue(what);
  const auto begun = channel_ != channel::none;
  if (!begun && state_ != connection_state::closed)
    return; // `begin` goes on
  reader.serve(loop_.now(), false);
  demand_->update_timer();
  if (begun && (read_ended_ || wants_bytes() != reading_))
    note();
}

bool connection::withdraw(net::pull& what) noexcept {
  if (!demand_ || !demand_->reader.withdraw(what))
    return false;
  if (channel_ != channel::none)
    note(); // the next one may be satisfied with what is there
  return true;
}

void connection::put_back(bytes payload) {
  read_on_demand();
  demand_->reader.put_back(std::move(payload));
  if (channel_ != channel::none)
    note();
}

void connection::serve_pulls() noexcept {
  auto& reader = demand_->reader;
  if (state_ == connection_state::closing || state_ == connection_state::draining || abort_asked_)
    reader.abandon();
  reader.serve(loop_.now(), false);
  demand_->update_timer();
  if (demand_->pulling && demand_->pushes_next && !reader.has_pulls())
    demand_->pulling = demand_->pushes_next = false;
  const auto gone = state_ >= connection_state::closing && state_ != connection_state::reset;
  if (demand_->pulling || gone)
    return;
  if (reader.frames())
    deliver_frames();
  else
    deliver_unread();
}

void connection::deliver_unread() noexcept {
  auto& reader = demand_->reader;
  while (!demand_->pulling && delivers() && reader.unread_bytes() > 0) {
    auto piece = reader.take_piece();
    piece.charge_to(*credit_);
    owner_.on_received(std::move(piece));
  }
}

/// As long as there is credit, and so many in a turn: a frame that waits is all that is delivered next.
void connection::deliver_frames() noexcept {
  auto& reader = demand_->reader;
  demand_->frame_waits = false;
  while (!demand_->pulling && reader.frames() && !abort_asked_ && reader.unread_bytes() > 0) {
    const auto next = reader.find_frame();
    if (next.is == framing::found::state::incomplete)
      return;
    if (next.is == framing::found::state::broken) {
      break_off(next.cause);
      return;
    }
    if (!delivers() || credit_->outstanding() >= options_.read_credit_bytes) {
      demand_->frame_waits = true;
      return;
    }
    if (reader.holds_back()) {
      demand_->frame_waits = true;
      demand_->go_on_next_round();
      return;
    }
    auto frame = reader.take_frame(next);
    frame.charge_to(*credit_);
    owner_.on_received(std::move(frame));
  }
}

/// Nothing sensible can follow on the way in. What was written still goes out, unless the stream itself has broken off:
/// then that is why.
void connection::break_off(errc cause) noexcept {
  const auto lost = read_cause_ ? read_cause_ : state_ == connection_state::reset ? send_cause_ : std::error_code{};
  if (lost) {
    abort(reason_of(lost), lost);
  } else {
    last_error_ = cause;
    begin_close(close_reason::error, cause);
  }
  demand_->reader.abandon();
}

} // namespace actnet::net
