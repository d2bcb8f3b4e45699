#include "actnet/actors/client_actor.hpp"

#include "actnet/actors/address_hints.hpp"
#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/loops.hpp"
#include "actnet/actors/make_lean.hpp"
#include "actnet/actors/unheard.hpp"
#include "actnet/net/loop/waits.hpp"

#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/exit_reason.hpp>

#include <algorithm>

namespace actnet {

namespace {

/// Nothing announces room in the backlog of a Unix listener.
constexpr std::chrono::milliseconds full_backlog_retry{5};

} // namespace

client_actor::client_actor(caf::actor_config& cfg, loop_host& home, client_birth birth)
    : lean_actor(cfg, home), birth_(std::move(birth)) {}

caf::strong_actor_ptr client_actor::make(client_birth birth) {
  auto& home = birth.all.next(birth.options.same_loop);
  return make_lean<client_actor>(home, std::move(birth));
}

void client_actor::begin() {
  const net::check_at_end check{[this] { check_waits(); }};
  if (birth_.owner)
    watch(birth_.owner);
  if (birth_.only_remote)
    connect(*birth_.only_remote, birth_.options.deadline, {birth_.owner, caf::make_message_id()});
}

void client_actor::cannot_begin(const caf::error& cause) {
  if (birth_.only_remote)
    refuse({birth_.owner, caf::make_message_id()}, *birth_.only_remote, cause);
  let_go();
}

// -- connecting --------------------------------------------------------------------------------------

void client_actor::connect(const net::endpoint& remote, std::chrono::milliseconds deadline, pending_request asked) {
  asked_ = std::move(asked);
  remote_ = remote;
  addresses_ = remote.addresses();
  trying_ = 0;
  refused_ = false;
  give_up_at_.reset();
  if (deadline.count() > 0)
    give_up_at_ = home().loop().deadline_in(deadline);
  attempt();
}

void client_actor::attempt() {
  const auto& to = addresses_[trying_];
  auto options = birth_.options.sockets.list;
  if (to.transport() == net::transport::tcp)
    options.insert(options.begin(), net::no_delay{true});
  auto begun = net::stream_socket::begin_connect(to, birth_.options.local, options);
  if (!begun && begun.error() == errc::would_block && to.transport() == net::transport::unix_stream) {
    const auto again_at = home().loop().deadline_in(full_backlog_retry);
    home().loop().judging_timers().arm(*this, give_up_at_ ? std::min(again_at, *give_up_at_) : again_at);
    return;
  }
  if (!begun) {
    fail(begun.error());
    return;
  }
  socket_ = std::move(begun->socket);
  if (begun->connected) {
    hand_over();
    return;
  }
  auto channel = home().loop().io().open(socket_, static_cast<net::connect_target&>(*this));
  if (!channel) {
    fail(channel.error());
    return;
  }
  channel_ = *channel;
  if (give_up_at_)
    home().loop().judging_timers().arm(*this, *give_up_at_);
}

void client_actor::on_connected(std::error_code cause) noexcept {
  const net::check_at_end check{[this] { check_waits(); }};
  stop_attempt();
  if (cause)
    fail(cause);
  else
    hand_over();
}

void client_actor::on_timer(net::time_point now) noexcept {
  const net::check_at_end check{[this] { check_waits(); }};
  if (std::exchange(waits_, false)) {
    connect(*birth_.only_remote, birth_.options.deadline, {birth_.owner, caf::make_message_id()});
  } else if (connecting() && channel_ == net::channel::none && (!give_up_at_ || now < *give_up_at_)) {
    attempt();
  } else if (connecting()) {
    stop_attempt();
    fail(errc::timed_out);
  } else if (draining_ && !aborted_) {
    aborted_ = true;
    end_connections(birth_.all, count_, &connection_actor::abort);
  }
}

/// Ends the waiting, not the socket.
void client_actor::stop_attempt() noexcept {
  if (!draining_)
    home().loop().judging_timers().cancel(*this);
  if (channel_ != net::channel::none)
    home().loop().io().close(std::exchange(channel_, net::channel::none));
}

void client_actor::fail(std::error_code cause) {
  socket_.close();
  if (cause != errc::timed_out) {
    refused_ = refused_ || cause == errc::connection_refused;
    if (trying_ + 1 < addresses_.size()) {
      ++trying_;
      attempt();
      return;
    }
    if (refused_) // that there is no such address on this machine says less
      cause = errc::connection_refused;
  }
  if (reconnects()) {
    asked_.reset();
    reconnect_later(cannot_connect(cause, remote_));
    return;
  }
  last_cause_ = cause;
  refuse(*std::exchange(asked_, std::nullopt), remote_, cannot_connect(cause, remote_));
  finish_if_done();
}

/// Ends the connect that is under way or waits for its next attempt, with its outcome. Returns whether there was one.
bool client_actor::call_off(errc cause) {
  const auto waited = std::exchange(waits_, false);
  stop_attempt();
  socket_.close();
  if (connecting())
    refuse(*std::exchange(asked_, std::nullopt), remote_, make_error(cause));
  else if (waited)
    refuse({birth_.owner, caf::make_message_id()}, *birth_.only_remote, make_error(cause));
  else
    return false;
  last_cause_ = cause;
  return true;
}

void client_actor::reconnect_later(const caf::error& cause) {
  const auto now = home().loop().now();
  if (!delays_)
    delays_.emplace(*birth_.options.reconnect);
  const auto delay = delays_->next(connected_at_ == net::time_point{} ? now : std::exchange(connected_at_, {}), now);
  waits_ = true;
  home().loop().judging_timers().arm(*this, net::later(now, delay));
  if (birth_.owner)
    send(birth_.owner, caf::make_message_id(), reconnecting{*birth_.only_remote, cause, delay});
  else if (cause)
    log_unheard("connect to", *birth_.only_remote, cause);
}

void client_actor::refuse(const pending_request& whom, const net::endpoint& remote, const caf::error& cause) {
  if (whom.id.is_request())
    answer(whom, cause);
  else if (!whom.sender)
    log_unheard("connect to", remote, cause);
  else
    send(whom.sender, caf::make_message_id(), connect_failed{remote, cause});
}

void client_actor::hand_over() {
  const auto asked = *std::exchange(asked_, std::nullopt);
  net::endpoint local;
  if (auto found = socket_.local_endpoint())
    local = *found;
  const auto owner = birth_.make_handler ? nullptr : asked.sender;
  const auto opened = open_connection(
      home(), {std::move(socket_), addresses_[trying_], birth_.options.connection, count_->take(nullptr)},
      birth_.make_handler, owner);
  if (!opened && reconnects()) {
    reconnect_later(make_error(errc::other, "the connection's handler could not be made"));
    return;
  }
  if (!opened) {
    refuse(asked, remote_, make_error(errc::other, "the connection's handler could not be made"));
  } else {
    const auto id = asked.id.is_request() ? asked.id.response_id() : caf::make_message_id();
    send(asked.sender, id, connected{opened, std::move(local), addresses_[trying_]});
    connected_at_ = home().loop().now();
  }
  finish_if_done();
}

// -- ending ------------------------------------------------------------------------------------------

void client_actor::finish_if_done() {
  if (ended() || connecting() || waits_ || (!draining_ && !birth_.only_remote))
    return;
  if (count_->await_end(caf::strong_actor_ptr{ctrl()}))
    return; // `slot_returned` brings us back here
  if (reconnects()) {
    reconnect_later({});
    return;
  }
  home().loop().judging_timers().cancel(*this);
  for (const auto& request : drain_requests_)
    answer(request, caf::ok_atom_v);
  if (birth_.owner)
    unwatch(birth_.owner);
  end(make_error(last_cause_));
  let_go();
}

/// The owner may hold this actor: holding it back would keep both for ever.
void client_actor::let_go() {
  birth_.owner = nullptr;
  birth_.make_handler = nullptr;
}

void client_actor::drain_for(std::chrono::milliseconds deadline) {
  birth_.options.reconnect.reset();
  (void)call_off(errc::cancelled);
  draining_ = true;
  home().loop().judging_timers().arm(*this, home().loop().deadline_in(deadline));
  finish_if_done();
}

void client_actor::abort_now(errc cause) {
  if (ended())
    return;
  (void)call_off(cause);
  home().loop().judging_timers().cancel(*this);
  for (const auto& request : drain_requests_)
    answer(request, caf::ok_atom_v);
  end(make_error(cause));
  let_go();
}

/// Who wakes it; its connections do so by `slot_returned`.
void client_actor::check_waits() const noexcept {
  const net::waits_check check{"client", ended() ? "ended" : draining_ ? "draining" : "open"};
  check(ended() && (connecting() || waits_ || armed()), "a connect");
  if (ended())
    return;
  check(connecting(), "an attempt", channel_ != net::channel::none, armed());
  check(connecting() && give_up_at_, "the deadline of an attempt", armed());
  check(waits_, "the next attempt", armed());
  check(draining_ && !aborted_, "the deadline of a drain", armed());
}

// -- commands ----------------------------------------------------------------------------------------

bool client_actor::note(caf::mailbox_element&) {
  return false;
}

void client_actor::on_message(caf::mailbox_element& command) {
  const net::check_at_end check{[this] { check_waits(); }};
  auto& content = command.content();
  if (content.match_elements<slot_returned>()) {
    finish_if_done();
  } else if (content.match_elements<actnet::connect>()) {
    const auto order = content.get_as<actnet::connect>(0);
    auto asked = answer_later(command);
    if (!asked.sender) // no actor's code gave the command
      asked.sender = birth_.owner;
    if (connecting())
      refuse(asked, order.remote, make_error(errc::already_connected, "a connect is under way"));
    else if (draining_ || birth_.only_remote)
      refuse(asked, order.remote, make_error(errc::closed));
    else
      connect(order.remote, order.deadline.value_or(birth_.options.deadline), std::move(asked));
  } else if (content.match_elements<cancel_connect>()) {
    birth_.options.reconnect.reset();
    if (call_off(errc::cancelled))
      finish_if_done();
    answer(command, caf::ok_atom_v);
  } else if (content.match_elements<drain>()) {
    drain_requests_.push_back(answer_later(command));
    drain_for(content.get_as<drain>(0).deadline);
  } else {
    answer(command, make_error(errc::unexpected_message));
  }
}

void client_actor::after_end(caf::mailbox_element& command) {
  auto& content = command.content();
  if (content.match_elements<cancel_connect>() || content.match_elements<drain>())
    answer(command, caf::ok_atom_v);
  else
    lean_actor::after_end(command);
}

caf::message client_actor::failure_of(const caf::type_erased_tuple& command, const caf::error& cause) const {
  if (command.match_elements<actnet::connect>())
    return caf::make_message(connect_failed{command.get_as<actnet::connect>(0).remote, cause});
  return {};
}

void client_actor::on_exit_message(const caf::strong_actor_ptr&, const caf::error& reason) {
  if (!reason || reason == caf::exit_reason::normal)
    return;
  abort_now(reason == caf::exit_reason::user_shutdown ? errc::cancelled : errc::aborted);
}

void client_actor::on_down_message(const caf::strong_actor_ptr& source, const caf::error&) {
  if (source == birth_.owner)
    abort_now(errc::owner_gone);
}

} // namespace actnet
