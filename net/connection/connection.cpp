#include "actnet/net/connection/connection.hpp"

#include "actnet/net/connection/demand.hpp"
#include "actnet/net/log.hpp"
#include "actnet/net/loop/waits.hpp"

#include <algorithm>
#include <cassert>

namespace actnet::net {

std::string_view to_string(connection_state state) noexcept {
  switch (state) {
  case connection_state::unclaimed: return "unclaimed";
  case connection_state::open: return "open";
  case connection_state::peer_finished: return "peer_finished";
  case connection_state::finished: return "finished";
  case connection_state::closing: return "closing";
  case connection_state::draining: return "draining";
  case connection_state::reset: return "reset";
  case connection_state::closed: return "closed";
  }
  return "unknown";
}

std::string_view to_string(close_reason reason) noexcept {
  switch (reason) {
  case close_reason::requested: return "requested";
  case close_reason::both_finished: return "both_finished";
  case close_reason::peer_finished: return "peer_finished";
  case close_reason::peer_reset: return "peer_reset";
  case close_reason::aborted: return "aborted";
  case close_reason::idle: return "idle";
  case close_reason::deadline: return "deadline";
  case close_reason::owner_gone: return "owner_gone";
  case close_reason::error: return "error";
  }
  return "unknown";
}

connection::connection(loop& home, stream_socket socket, const connection_options& options, connection_owner& owner)
    : loop_(home),
      owner_(owner),
      credit_(credit_account::open(home.bell(), &home.pool())),
      options_(options),
      socket_(std::move(socket)) {}

connection::~connection() {
  assert(channel_ == channel::none); // it was closed, or never begun
  if (demand_) {
    demand_->reader.abandon();
    demand_->reader.give_all();
    demand_->reader.serve({}, false);
  }
  queue_.fail(errc::closed);
  end_refused();
  credit_->close();
}

/// Something changed that the end of the turn has to look at.
void connection::note() noexcept {
  noted_ = true;
  loop_.defer(*this);
}

void connection::begin(bool claimed) noexcept {
  last_activity_ = last_step_ = phase_began_ = loop_.exactly_now();
  if (options_.on_demand)
    read_on_demand();
  claimed_ = claimed;
  state_ = claimed ? connection_state::open : connection_state::unclaimed;
  auto opened = loop_.io().open(socket_, *this);
  if (opened)
    channel_ = *opened;
  else
    abort(close_reason::error, opened.error());
  note();
}

// -- operations: take note, and be served at the end of the turn ------------------------------

bool connection::reserve(std::size_t bytes, bool is_write) noexcept {
  return bytes == 0 && !is_write ? marks_.take(1, marks_max())
                                 : reserved_.take(bytes + item_overhead_bytes, room_max());
}

bool connection::reserve_here(std::size_t bytes, bool is_write) noexcept {
  settle_direct();
  return bytes == 0 && !is_write ? marks_.take_here(1, marks_max())
                                 : reserved_.take_here(bytes + item_overhead_bytes, room_max());
}

/// An empty item has room of its own: it is of use when the queue is full.
std::size_t connection::marks_max() const noexcept {
  return options_.write_high_bytes / item_overhead_bytes + 1;
}

void connection::give_back(const write_item& item) noexcept {
  if (item.payload.empty() && !item.is_write)
    marks_.give_back(1);
  else
    reserved_.give_back(item.payload.size() + item_overhead_bytes);
}

errc connection::refusal() const noexcept {
  switch (state_) {
  case connection_state::finished: return errc::finished;
  case connection_state::reset: return errc::connection_reset;
  case connection_state::closing:
  case connection_state::draining:
  case connection_state::closed: return errc::closed;
  case connection_state::unclaimed:
  case connection_state::open:
  case connection_state::peer_finished: break;
  }
  if (abort_asked_)
    return errc::closed;
  if (finish_queued_)
    return errc::finished;
  return cut_ ? errc::frame_cut : errc::none;
}

void connection::write(write_item& item) noexcept {
  item.what = item.file ? write_item::kind::file : write_item::kind::bytes;
  if (const auto cause = refusal(); cause != errc::none) {
    give_back(item);
    refuse(item, cause);
    return;
  }
  push(item);
}

void connection::refuse(write_item& item) noexcept {
  if (const auto cause = refusal(); cause != errc::none) {
    refuse(item, cause); // nothing will be taken any more, whatever the queue does
    return;
  }
  ++counters_.writes_refused;
  passed_high_ = true;
  if (options_.when_slow == slow_peer::close)
    abort(close_reason::error, errc::queue_full);
  refuse(item, errc::queue_full);
}

bool connection::withdraw(write_item& item, errc cause) noexcept {
  assert(item.what != write_item::kind::finish);
  if (!queue_.remove(item))
    return false;
  give_back(item);
  refuse(item, cause);
  if (!item.is_frame || item.sent == 0)
    return true;
  cut_ = true;
  for (auto next = queue_.front(); next && next->what != write_item::kind::finish; next = queue_.front()) {
    queue_.remove(*next);
    give_back(*next);
    refuse(*next, errc::frame_cut);
  }
  return true;
}

void connection::finish(write_item& item) noexcept {
  item.what = write_item::kind::finish;
  if (const auto cause = refusal(); cause != errc::none && cause != errc::frame_cut) {
    refuse(item, cause);
    return;
  }
  push(item);
  finish_queued_ = true;
  if (claimed_)
    state_ = connection_state::finished;
}

void connection::write_direct(bytes&& payload) noexcept {
  direct_ = std::move(payload);
  loop_.defer(*this);
}

/// Something is to follow in the queue, or it cannot be sent as it is: it becomes an item like any other.
void connection::settle_direct(std::size_t sent) noexcept {
  if (direct_.empty())
    return;
  auto& item = owner_.item_of_direct();
  item.what = write_item::kind::bytes;
  item.payload = std::move(direct_);
  reserved_.add_here(item.payload.size() + item_overhead_bytes);
  push(item);
  if (sent > 0)
    on_sent(sent);
}

void connection::push(write_item& item) noexcept {
  settle_direct();
  if (queue_.empty())
    last_step_ = loop_.now();
  item.refusal = errc::none; // the item may have been used before
  queue_.push(item);
  if (reserved_.taken() >= options_.write_high_bytes)
    passed_high_ = true;
  note();
}

void connection::refuse(write_item& item, errc cause) noexcept {
  item.payload = {};
  item.held = {};
  item.refusal = cause;
  item.next = nullptr;
  (first_refused_ ? last_refused_->next : first_refused_) = &item;
  last_refused_ = &item;
  note();
}

void connection::close(close_reason reason) noexcept {
  if (state_ == connection_state::reset) {
    abort(close_reason::peer_reset, send_cause_);
    return;
  }
  begin_close(reason);
}

void connection::begin_close(close_reason reason, std::error_code cause) noexcept {
  if (state_ >= connection_state::closing)
    return;
  state_ = connection_state::closing;
  ending_ = reason;
  ending_cause_ = cause;
  last_step_ = loop_.exactly_now();
  note();
}

void connection::abort(close_reason reason, std::error_code cause) noexcept {
  if (state_ == connection_state::closed || abort_asked_)
    return;
  abort_asked_ = true;
  ending_ = reason;
  ending_cause_ = cause;
  note();
}

void connection::pause_reading() noexcept {
  paused_ = true;
  if (demand_)
    demand_->pushes_next = false;
  note();
}

void connection::resume_reading() noexcept {
  paused_ = false;
  if (demand_)
    demand_->pushes_next = true;
  note();
}

void connection::stop_reading() noexcept {
  discard_ = true;
  if (demand_)
    demand_->reader.end({});
  note();
}

void connection::end_was_handled() noexcept {
  end_handled_ = true;
  note();
}

void connection::claim() noexcept {
  note();
  if (claimed_) {
    end_told_ = end_handled_ = false;
    return;
  }
  claimed_ = true;
  last_activity_ = loop_.exactly_now(); // the idle time begins after the handshake
  retime();
  if (state_ == connection_state::unclaimed)
    state_ = finish_queued_ ? connection_state::finished : connection_state::open;
}

void connection::set_idle_timeout(std::chrono::milliseconds timeout) noexcept {
  options_.idle_timeout = timeout;
  last_activity_ = loop_.exactly_now();
  retime();
}

void connection::set_deadline(std::optional<time_point> when) noexcept {
  deadline_ = when.value_or(time_point::max());
  retime();
}

void connection::set_allow_half_open(bool allowed) noexcept {
  options_.allow_half_open = allowed;
  note(); // an end that was dealt with before may close it now
}

std::optional<time_point> connection::deadline() const noexcept {
  return deadline_ == time_point::max() ? std::nullopt : std::optional{deadline_};
}

// -- completions ----------------------------------------------------------------------------

void connection::on_received(bytes&& payload) noexcept {
  last_activity_ = loop_.now();
  ++counters_.reads;
  counters_.bytes_received += payload.size();
  if (discard_ || state_ == connection_state::closing || state_ == connection_state::draining || abort_asked_)
    return;
  if (demand_ && (demand_->pulling || demand_->reader.frames())) {
    demand_->reader.next_turn();
    demand_->reader.feed(std::move(payload), loop_.now());
    if (demand_->pulling) {
      demand_->reader.serve(loop_.now(), false);
      demand_->update_timer();
      if (demand_->pushes_next)
        note();
    } else {
      deliver_frames();
    }
    if (!wants_bytes() || (!demand_->pulling && credit_->outstanding() >= options_.read_credit_bytes)) {
      reading_ = false;
      loop_.io().stop_reading(channel_);
      note();
    }
    return;
  }
  payload.charge_to(*credit_);
  owner_.on_received(std::move(payload));
  if (credit_->outstanding() >= options_.read_credit_bytes || is_backed_up()) {
    reading_ = false;
    loop_.io().stop_reading(channel_);
    note();
  }
}

void connection::on_read_end(std::error_code cause) noexcept {
  read_ended_ = true;
  reading_ = false;
  read_cause_ = cause;
  note();
}

void connection::on_hang_up(std::error_code cause) noexcept {
  lose(cause);
  note();
}

std::size_t connection::gather(std::span<iovec> parts) noexcept {
  if (abort_asked_)
    return 0;
  return queue_.front_file() ? gather_file(parts) : queue_.gather(parts);
}

std::size_t connection::gather_file(std::span<iovec> parts) noexcept {
  while (const auto file = abort_asked_ ? nullptr : queue_.front_file()) {
    if (!file->is_open()) {
      if (auto opened = file->open(); !opened) {
        queue_.fail_front(opened.error());
        queue_.sent(0);
        continue;
      }
      queue_.sent(0); // there may be nothing in it
      continue;
    }
    if (!file->copies())
      return a_file;
    const auto copied = file->copy(queue_.front_sent());
    if (copied) {
      parts[0] = {const_cast<std::byte*>(copied->data()), copied->size()};
      return 1;
    }
    on_file_failed(copied.error());
  }
  return abort_asked_ ? 0 : queue_.gather(parts);
}

stream_target::file_part connection::next_file() noexcept {
  const auto& file = *queue_.front_file();
  return {file.fd(), file.offset() + queue_.front_sent(), file.size() - queue_.front_sent()};
}

void connection::on_file_failed(std::error_code cause) noexcept {
  if (cause == errc::not_supported && !queue_.front_file()->copies()) {
    queue_.front_file()->copy_from_now_on();
    return;
  }
  abort(close_reason::error, cause);
  queue_.fail_front(cause);
}

bool connection::on_sent(std::size_t count) noexcept {
  last_activity_ = last_step_ = loop_.now();
  counters_.bytes_sent += count;
  queue_.sent(count);
  if (!serving_) // a finish may have come to the front, a close become possible, the queue writable
    note();
  return !queue_.empty();
}

void connection::on_send_failed(std::error_code cause) noexcept {
  send_cause_ = cause;
  if (!serving_)
    note();
}

void connection::on_done(write_item& item, std::error_code cause) noexcept {
  if (item.refusal == errc::none && item.what != write_item::kind::finish)
    give_back(item);
  ++(cause ? counters_.writes_failed : counters_.writes_done);
  owner_.on_outcome(item, cause);
}

// -- the end of a turn ------------------------------------------------------------------------

void connection::serve() noexcept {
  const check_at_end check{[this] { check_waits(); }};
  if (!direct_.empty()) {
    if (!noted_ && send_direct())
      return;
    settle_direct();
  }
  noted_ = false;
  if (first_refused_)
    end_refused();
  if (demand_)
    serve_pulls();
  if (state_ == connection_state::closed)
    return;
  if (abort_asked_) {
    end(ending_, ending_cause_, abort_resets());
    return;
  }
  serving_ = true;
  if (!queue_.empty())
    send_queued();
  if (abort_asked_) { // a file broke off, or the outcome of a write made its owner ask
    serving_ = false;
    end(ending_, ending_cause_, abort_resets());
    return;
  }
  if (send_cause_ && state_ != connection_state::reset)
    lose(send_cause_);
  if (read_ended_)
    meet_end();
  if (state_ >= connection_state::finished)
    advance_close();
  serving_ = false;
  if (state_ == connection_state::closed)
    return;
  if (passed_high_)
    tell_writable();
  update_reading();
  update_timer();
}

/// The usual turn: what came was answered, and that is all. Returns whether it is sent and nothing else is to be done.
bool connection::send_direct() noexcept {
  serving_ = true;
  const auto sent = loop_.io().send_now(channel_, {direct_.data(), direct_.size()});
  serving_ = false;
  if (sent < direct_.size()) {
    settle_direct(sent);
    return false;
  }
  last_activity_ = last_step_ = loop_.now();
  counters_.bytes_sent += sent;
  ++counters_.writes_done;
  direct_ = {};
  if (!reading_)
    update_reading();
  if (!armed())
    update_timer();
  return true;
}

/// Whether the peer is to learn by an RST that it did not get everything. One that was only quiet, or has not said
/// goodbye after all was sent until time was up or the loop stopped, is left to the kernel, which goes on sending what
/// it has.
bool connection::abort_resets() const noexcept {
  if (!queue_.empty() || !direct_.empty())
    return true;
  const auto quiet = ending_ == close_reason::idle || ending_ == close_reason::deadline;
  const auto no_time_left = ending_cause_ == errc::timed_out || ending_cause_ == errc::shutting_down;
  const auto lingering = no_time_left && (state_ == connection_state::draining || state_ == connection_state::closing);
  return !quiet && !lingering;
}

void connection::end_refused() noexcept {
  while (auto item = first_refused_) {
    first_refused_ = item->next;
    item->next = nullptr;
    on_done(*item, item->refusal);
  }
}

void connection::send_queued() noexcept {
  if (state_ == connection_state::reset)
    return;
  if (queue_.at_mark()) // through without a byte being sent
    queue_.sent(0);
  if (!queue_.empty() && !queue_.at_finish())
    loop_.io().send(channel_);
  if (queue_.at_finish() && !send_cause_ && !abort_asked_) {
    if (const auto cause = send_finish())
      send_cause_ = cause;
    else
      queue_.finished();
  }
}

std::error_code connection::send_finish() noexcept {
  const auto done = socket_.shutdown_write();
  finish_sent_ = done.has_value();
  if (done)
    return {};
  // The stream was connected before, so this is what shutdown(2) says after an RST.
  return done.error() == errc::not_connected ? make_error_code(errc::connection_reset) : done.error();
}

/// Nothing can be sent any more. What was received before is still to be delivered.
void connection::lose(std::error_code cause) noexcept {
  if (state_ == connection_state::closed || state_ == connection_state::reset)
    return;
  settle_direct();
  last_error_ = send_cause_ = cause;
  if (state_ == connection_state::closing || state_ == connection_state::draining) {
    if (state_ == connection_state::closing)
      abort(reason_of(cause), cause);
    else // all of ours was sent before; the peer need not take its leave nicely
      abort(ending_, {});
    return;
  }
  state_ = connection_state::reset;
  queue_.fail(cause);
}

close_reason connection::reason_of(std::error_code cause) noexcept {
  return cause == errc::connection_reset ? close_reason::peer_reset : close_reason::error;
}

/// The peer finished, or reading failed.
void connection::meet_end() noexcept {
  if (demand_ && state_ != connection_state::closing && state_ != connection_state::draining) {
    const auto lost = state_ == connection_state::reset ? send_cause_ : std::error_code{};
    demand_->reader.end(read_cause_ ? read_cause_ : lost);
    serve_pulls();
    if (has_unread()) {
      const auto unfinished =
          !demand_->pulling && demand_->reader.frames() && (delivers() || discard_) && !demand_->frame_waits;
      if (!unfinished)
        return;
      if (!discard_) {
        break_off(errc::end_of_stream);
        return;
      }
      demand_->reader.drop_unread(); // the rest of that frame was not wanted
    }
  }
  if (read_cause_ || state_ == connection_state::reset) {
    const auto cause = read_cause_ ? read_cause_ : send_cause_;
    last_error_ = cause;
    if (state_ == connection_state::draining)
      end(ending_, ending_cause_, false);
    else
      end(reason_of(cause), cause, false);
    return;
  }
  if (!claimed_)
    return; // the owner to be will hear of it
  if (!end_told_ && state_ < connection_state::closing) {
    end_told_ = true;
    if (state_ == connection_state::open)
      state_ = connection_state::peer_finished;
    if (owner_.on_peer_finished())
      end_handled_ = true;
  }
  if (end_handled_ && !options_.allow_half_open && state_ == connection_state::peer_finished)
    begin_close(close_reason::peer_finished);
}

void connection::advance_close() noexcept {
  settle_direct(); // what the owner wrote when it was told of the end
  if (abort_asked_)
    return; // at the end of this turn
  if (state_ == connection_state::finished) {
    if (finish_sent_ && read_ended_ && claimed_ && !has_unread())
      end(close_reason::both_finished, {}, false);
    return;
  }
  if (state_ == connection_state::closing && queue_.empty()) {
    if (!finish_sent_) {
      if (const auto cause = send_finish()) {
        end(reason_of(cause), cause, false);
        return;
      }
    }
    state_ = connection_state::draining;
    last_step_ = loop_.now();
    if (!read_ended_)
      look();
  }
  if (state_ == connection_state::draining && read_ended_)
    end(ending_, ending_cause_, false);
}

void connection::tell_writable() noexcept {
  if (reserved_.taken() > options_.write_low_bytes || marks_.taken() > options_.write_low_bytes / item_overhead_bytes)
    return;
  passed_high_ = false;
  if (options_.when_slow == slow_peer::pause)
    note(); // what waited here goes on
  if (refusal() == errc::none)
    owner_.on_writable();
}

void connection::update_reading() noexcept {
  const auto ending = state_ == connection_state::closing || state_ == connection_state::draining;
  const auto dropping = discard_ || ending;
  const auto wanted = !read_ended_ && (dropping || (claimed_ && wants_bytes()));
  const auto frame_waits = demand_ && demand_->frame_waits && claimed_ && delivers() && !ending; // from before
  auto starves =
      ((wanted && !dropping) || frame_waits) && !pulls() && credit_->outstanding() >= options_.read_credit_bytes;
  if (starves && demand_) { // what waits here is not held by the owner
    demand_->reader.part_from_taken();
    starves = credit_->outstanding() >= options_.read_credit_bytes;
  }
  if (starves) {
    credit_->await_release();
    starves = credit_->outstanding() >= options_.read_credit_bytes; // a release before the line above rang no bell
    if (!starves)
      credit_->stop_awaiting();
  }
  if (starves != starved_) {
    starved_ = starves;
    stall_warned_ = false;
    starved_since_ = last_activity_ = loop_.now(); // the idle timeout does not count while it lasts
    loop_.judging_timers().cancel(*this);
    if (starves) {
      loop_.await_credit(*this);
    } else {
      credit_->stop_awaiting();
      loop_.stop_awaiting_credit(*this);
    }
  }
  if (frame_waits && !starves && !pulls() && !demand_->goes_on_next_round())
    note(); // the credit came back after it had been found short
  const auto read = wanted && (dropping || !starves);
  if (read == reading_)
    return;
  reading_ = read;
  if (read)
    loop_.io().start_reading(channel_);
  else
    loop_.io().stop_reading(channel_);
}

void connection::end(close_reason reason, std::error_code cause, bool reset) noexcept {
  settle_direct();
  state_ = connection_state::closed;
  credit_->leave_home();
  loop_.judging_timers().cancel(*this);
  if (starved_) {
    credit_->stop_awaiting();
    loop_.stop_awaiting_credit(*this);
    starved_ = false;
  }
  if (channel_ != channel::none)
    loop_.io().close(std::exchange(channel_, channel::none));
  if (reset)
    (void)socket_.reset_on_close();
  socket_.close();
  if (cause)
    last_error_ = cause;
  if (demand_) {
    demand_->reader.end(cause ? cause : make_error_code(errc::closed));
    demand_->reader.give_all();
    serve_pulls();
    demand_->cancel_timers();
  }
  queue_.fail(cause ? cause : make_error_code(errc::closed));
  end_refused();
  owner_.on_closed(reason, cause);
}

// -- time -------------------------------------------------------------------------------------

namespace {

/// The time at which `timeout` after `since` is over; never if the timeout is off.
time_point after(time_point since, std::chrono::milliseconds timeout) noexcept {
  return timeout.count() > 0 ? later(since, timeout) : time_point::max();
}

} // namespace

/// Off: in a close, `close_timeout` is all there is.
std::chrono::milliseconds connection::stall_limit() const noexcept {
  return options_.write_stall.count() > 0 ? options_.write_stall : options_.close_timeout;
}

time_point connection::next_deadline() const noexcept {
  auto next = std::min(deadline_, look_at_);
  const auto sooner = [&next](time_point when) { next = std::min(next, when); };
  switch (state_) {
  case connection_state::closing: sooner(after(last_step_, stall_limit())); break;
  case connection_state::draining:
    sooner(all_taken_ ? after(phase_began_, options_.close_timeout) : after(last_step_, stall_limit()));
    break;
  default:
    if (!claimed_)
      sooner(after(phase_began_, options_.handshake_deadline));
    else if (is_judged_idle())
      sooner(after(last_activity_, options_.idle_timeout));
    if (!queue_.empty())
      sooner(after(last_step_, options_.write_stall));
  }
  if (starved_) {
    sooner(after(starved_since_, options_.credit_stall_limit));
    if (!stall_warned_)
      sooner(after(starved_since_, options_.credit_stall_warning));
  }
  return next;
}

/// The shortest timeout by which a peer that takes nothing is judged just now; zero: none.
std::chrono::milliseconds connection::patience() const noexcept {
  if (state_ == connection_state::closing || state_ == connection_state::draining)
    return all_taken_ ? std::chrono::milliseconds{0} : stall_limit();
  const auto stall = queue_.empty() ? std::chrono::milliseconds{0} : options_.write_stall;
  if (stall.count() == 0 || options_.idle_timeout.count() == 0)
    return stall + options_.idle_timeout;
  return std::min(stall, options_.idle_timeout);
}

/// Sees to the next look, if the peer has yet to take something, as far as is known.
void connection::watch() noexcept {
  if (queue_.empty() && progress_.left() == 0 && !progress_.is_outdated(counters_.bytes_sent))
    return;
  constexpr std::chrono::milliseconds shortest{1}, longest{1'000};
  if (const auto limit = patience(); limit.count() > 0 && state_ != connection_state::reset)
    look_at_ = later(loop_.now(), std::clamp(limit / 4, shortest, longest));
}

/// At what the peer has not taken yet.
void connection::look() noexcept {
  const auto left = loop_.io().untaken(channel_);
  if (progress_.look(counters_.bytes_sent, left, is_watched()))
    last_step_ = last_activity_ = loop_.now();
  if (state_ == connection_state::draining && left == 0 && !all_taken_) {
    all_taken_ = true;
    phase_began_ = loop_.now();
  }
  look_at_ = time_point::max(); // `update_timer` goes on with it
}

/// The usual case: nothing but silence is counted, and the timer is armed for its end, or there is none. Whatever
/// brings that end forward disarms it (`retime`).
bool connection::is_timed() const noexcept {
  if (state_ > connection_state::finished || !claimed_ || starved_ || !queue_.empty())
    return false;
  if (is_watched() ? timer::deadline() > look_at_ : progress_.left() > 0 || progress_.is_outdated(counters_.bytes_sent))
    return false;
  return armed() || (options_.idle_timeout.count() == 0 && deadline_ == time_point::max() && !is_watched());
}

void connection::retime() noexcept {
  loop_.judging_timers().cancel(*this);
  note();
}

/// Activity moves deadlines only later, so an armed timer that comes too early is set again when it fires: a read or a
/// write costs no work here.
void connection::update_timer() noexcept {
  if (is_timed()) [[likely]]
    return;
  if (!is_watched())
    watch();
  const auto next = next_deadline();
  if (next != time_point::max() && (!armed() || next < timer::deadline()))
    loop_.judging_timers().arm(*this, next);
}

void connection::on_timer(time_point now) noexcept {
  const auto over = [now](time_point since, std::chrono::milliseconds timeout) { return after(since, timeout) <= now; };
  const auto is_idle = [&] { return is_judged_idle() && over(last_activity_, options_.idle_timeout); };
  if (is_watched() || is_idle())
    look();
  if (now >= deadline_) {
    abort(close_reason::deadline, errc::timed_out);
  } else if (state_ == connection_state::closing || (state_ == connection_state::draining && !all_taken_)) {
    if (over(last_step_, stall_limit()))
      give_up_stalled();
  } else if (!queue_.empty() && over(last_step_, options_.write_stall)) {
    give_up_stalled();
  } else if (state_ == connection_state::draining) {
    if (over(phase_began_, options_.close_timeout))
      abort(ending_, errc::timed_out);
  } else if (!claimed_) {
    if (over(phase_began_, options_.handshake_deadline))
      abort(close_reason::error, errc::unclaimed);
  } else if (is_idle()) {
    if (state_ == connection_state::reset)
      abort(reason_of(send_cause_), send_cause_);
    else
      abort(close_reason::idle, errc::idle);
  }
  if (starved_ && write_stall_judges()) {
    starved_since_ = now; // what is queued may be what holds it
  } else if (starved_) {
    if (over(starved_since_, options_.credit_stall_limit)) {
      abort(close_reason::error, errc::credit_stalled);
    } else if (!stall_warned_ && over(starved_since_, options_.credit_stall_warning)) {
      stall_warned_ = true;
      log_limited(log_level::warning, "credit-stall",
                  "a connection has read nothing for a while: " + owner_.owner_name() + " holds " +
                      std::to_string(credit_->outstanding()) + " bytes of received data");
    }
  }
  note();
}

/// The peer took nothing for too long. It learns by a reset that it did not get everything.
void connection::give_up_stalled() noexcept {
  if (log_enabled(log_level::info)) {
    const auto who = socket_.peer_endpoint();
    log_limited(log_level::info, "write-stall",
                "gave up " + (who ? who->to_string() : std::string{"a peer"}) +
                    ", which takes nothing: " + std::to_string(queued_bytes()) + " bytes are queued for it, " +
                    std::to_string(progress_.left()) + " in the kernel");
  }
  abort(state_ < connection_state::closing ? close_reason::error : ending_, errc::write_stalled);
}

} // namespace actnet::net
