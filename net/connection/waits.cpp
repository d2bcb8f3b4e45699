// Who wakes a connection from each of its waits.
#include "actnet/net/loop/waits.hpp"

#include "actnet/net/connection/demand.hpp"

namespace actnet::net {

/// At the end of `serve`. What its owner has still to do (read, resume, answer, finish, close, claim) is the owner's to
/// wake it with; everything else needs the backend, a timer, credit or the end of this turn.
void connection::check_waits() const noexcept {
  const waits_check check{"connection", to_string(state_)};
  if (is_deferred())
    return; // it is served again in this turn
  check(abort_asked_ && state_ != connection_state::closed, "an abort");
  check(first_refused_, "a refused write");
  if (state_ == connection_state::closed) {
    check(!queue_.empty() || !direct_.empty(), "a queued write");
    check(demand_ && demand_->reader.has_pulls(), "a read");
    check(starved_ || armed() || channel_ != channel::none, "what was to be let go of");
    return;
  }
  const auto ending = state_ == connection_state::closing || state_ == connection_state::draining;
  const auto lost = state_ == connection_state::reset;
  const auto owner_pauses = paused_ || is_backed_up() || (pulls() && !demand_->reader.has_pulls());
  const auto frame_waits = demand_ && demand_->frame_waits && claimed_ && !ending;

  // The way out. What is queued is the backend's as long as there is one that takes it.
  check(!queue_.empty(), "a queued write", !lost && !send_cause_ && !queue_.at_finish() && !queue_.at_mark());
  check(!direct_.empty(), "a write");
  check(static_cast<bool>(send_cause_), "a failure to send", lost);
  check(passed_high_, "room in the queue: the word of it, and reading that pauses until then", !queue_.empty(),
        reserved_.taken() > options_.write_low_bytes,
        marks_.taken() > options_.write_low_bytes / item_overhead_bytes); // what others have reserved comes by post

  // The way in.
  check(!read_ended_ && !ending && !discard_ && claimed_ && wants_bytes(), "reading", reading_, starved_);
  check(!read_ended_ && (ending || discard_), "dropping what comes", reading_);
  const auto goes_on = demand_ && demand_->goes_on_next_round();
  check(frame_waits, "a frame", paused_, is_backed_up(), pulls(), starved_, goes_on);
  check(demand_ && demand_->reader.has_pulls(), "a read", !read_ended_ && reading_, !claimed_, goes_on);
  check(demand_ && demand_->reader.next_deadline() != time_point::max(), "the deadline of a read",
        demand_ && demand_->armed());

  // The end.
  const auto unread = has_unread() && (owner_pauses || frame_waits || pulls());
  const auto broken_off = lost || read_cause_;
  check(read_ended_ && broken_off, "the end of a stream that broke off", unread);
  check(read_ended_ && !broken_off && claimed_ && !ending && !end_told_, "the peer's end", unread);
  check(read_ended_ && !broken_off && end_handled_ && state_ == connection_state::peer_finished, "the close",
        options_.allow_half_open);
  check(state_ == connection_state::finished, "the end of both", !queue_.empty(), !read_ended_, unread, !claimed_);
  check(state_ == connection_state::closing, "the close", !queue_.empty());
  check(state_ == connection_state::draining, "the peer's end", !read_ended_);
  // The loop's time may be older than the moment from which a timeout is counted, so a timer may be that much later.
  constexpr std::chrono::seconds slack{1};
  check(next_deadline() != time_point::max(), "a timeout",
        armed() && timer::deadline() <= later(next_deadline(), slack));
}

} // namespace actnet::net
