#include "actnet/actors/listener_actor.hpp"

#include "actnet/actors/address_hints.hpp"
#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/loops.hpp"
#include "actnet/actors/make_lean.hpp"
#include "actnet/actors/supervision/supervisor_actor.hpp"
#include "actnet/actors/unheard.hpp"
#include "actnet/net/log.hpp"
#include "actnet/net/loop/waits.hpp"

#include <caf/actor_cast.hpp>
#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/exit_reason.hpp>
#include <caf/system_messages.hpp>

#include <algorithm>

namespace actnet {

namespace {

/// Whether an accept failed because the socket does not listen (any more): for good, whereas all else passes.
bool is_lost(errc cause) noexcept {
  return cause == errc::invalid_argument || cause == errc::bad_descriptor;
}

} // namespace

listener_actor::listener_actor(caf::actor_config& cfg, loop_host& home, std::shared_ptr<listener_plan> plan,
                               caf::strong_actor_ptr leader, std::size_t socket)
    : lean_actor(cfg, home),
      plan_(std::move(plan)),
      leader_(std::move(leader)),
      socket_(socket),
      sharded_(leader_ != nullptr) {}

caf::strong_actor_ptr listener_actor::make_on(loop_host& home, std::shared_ptr<listener_plan> plan,
                                              caf::strong_actor_ptr leader, std::size_t socket) {
  return make_lean<listener_actor>(home, std::move(plan), std::move(leader), socket);
}

caf::strong_actor_ptr listener_actor::make(std::shared_ptr<listener_plan> plan) {
  auto& home = *plan->home;
  plan->left_open = false; // nobody abandons it meanwhile: that is done in this thread too
  return make_on(home, std::move(plan), nullptr, 0);
}

// -- beginning ---------------------------------------------------------------------------------------

std::error_code listener_actor::open() {
  const auto& options = plan_->options;
  auto& all = plan_->all;
  if (is_leader() && plan_->sockets.empty()) {
    net::listener_options wanted;
    wanted.backlog = options.backlog;
    wanted.reuse_address = options.reuse_address;
    wanted.v6_only = options.v6_only;
    wanted.path_mode = options.path_mode;
    wanted.reuse_port =
        options.shard == shard::reuse_port && !options.same_loop && plan_->deals_by_loop() && all.size() > 1;
    if (wanted.reuse_port) {
      auto opened = net::listener_socket::open_shards(plan_->local, wanted, all.size());
      if (!opened)
        return opened.error();
      plan_->sockets = std::move(*opened);
    } else {
      auto opened = net::listener_socket::open_each(plan_->local, wanted);
      if (!opened)
        return opened.error();
      plan_->sockets = std::move(*opened);
    }
  }
  if (is_leader() && plan_->sockets.size() > 1) {
    sharded_ = true;
    if (plan_->local.is_localhost())
      shards_.push_back(make_on(home(), plan_, caf::strong_actor_ptr{ctrl()}, 1));
    for (std::size_t i = 0; plan_->deals_by_loop() && i < all.size(); ++i)
      if (&all.at(i) == &home())
        socket_ = i;
      else
        shards_.push_back(make_on(all.at(i), plan_, caf::strong_actor_ptr{ctrl()}, i));
  }
  paused_ = plan_->paused;
  auto local = socket().local_endpoint();
  if (!local)
    return local.error();
  local_ = plan_->local.is_localhost() && plan_->sockets.size() > 1 ? plan_->local.with_port(local->port()) : *local;
  auto channel = home().loop().io().open(socket(), *this);
  if (!channel)
    return channel.error();
  channel_ = *channel;
  if (socket().path())
    path_watch_.emplace(home().loop(), socket());
  return {};
}

void listener_actor::cannot_begin(const caf::error& cause) {
  shards_.clear();
  if (is_leader()) {
    plan_->sockets.clear();
    plan_->leave();
    if (plan_->owner)
      send(plan_->owner, caf::make_message_id(), listen_failed{plan_->local, cause});
    else
      log_unheard("listen on", plan_->local, cause);
  } else {
    net::log(net::log_level::error, "accept", local_.to_string() + ": a shard cannot listen: " + to_text(cause));
  }
  plan_.reset();
}

void listener_actor::begin() {
  if (auto cause = open()) {
    const auto failed = cannot_open(cause, plan_->local);
    cannot_begin(failed);
    end(failed);
    return;
  }
  if (is_leader() && plan_->owner) {
    watch(plan_->owner);
    send(plan_->owner, caf::make_message_id(), listening{local_});
    if (plan_->supervised)
      send(plan_->owner, caf::make_message_id(), child_began{});
  }
  for (auto& shard : shards_) { // after `listening`: they may accept at once
    watch(shard);
    static_cast<listener_actor&>(*shard->get()).start();
  }
}

// -- accepting ---------------------------------------------------------------------------------------

bool listener_actor::wants_connection() noexcept {
  if (armed() && !draining_)
    return false; // the kernel has no descriptors just now, or there were too many connections
  return stopping_ ? take_from_backlog() : !paused_ && rate_allows() && take_place();
}

/// The place comes first: who has taken one of the allowed ones holds a place too, for whose end others can wait.
bool listener_actor::take_place() {
  while (may_be_allowed()) {
    held_ = plan_->count->take(caf::strong_actor_ptr{ctrl()});
    if (!held_)
      return false;
    if (plan_->take_allowed())
      return true;
    held_ = nullptr; // another shard was faster
  }
  return false;
}

/// If not, another shard may hold the last one for an accept that finds nobody, and tells when it gives it back.
bool listener_actor::may_be_allowed() {
  if (plan_->allowed.load() != 0)
    return true;
  if (sharded_)
    plan_->count->await_end(caf::strong_actor_ptr{ctrl()});
  return plan_->allowed.load() != 0;
}

/// Of a listener that stops.
bool listener_actor::take_from_backlog() {
  if (to_take_-- > 0)
    held_ = plan_->count->take(caf::strong_actor_ptr{ctrl()});
  if (!held_)
    close_socket();
  return held_ != nullptr;
}

/// If not, the timer tells when it does.
bool listener_actor::rate_allows() noexcept {
  const auto next = plan_->rate.next();
  if (next <= home().loop().now())
    return true;
  awaits_rate_ = true;
  home().loop().timers().arm(*this, next);
  return false;
}

void listener_actor::on_accepted(net::listener_socket::accepted connection) noexcept {
  auto [slot, live] = plan_->book->enter(held_, connection.peer);
  if (!slot) {
    refuse(std::move(connection));
    return;
  }
  held_ = nullptr; // the slot holds it
  plan_->rate.take(home().loop().now());
  if (plan_->alarm_is_due(live, home().loop().now()))
    tell_alarm(live);
  auto& where = (sharded_ && plan_->deals_by_loop()) || plan_->options.same_loop ? home() : plan_->all.next();
  if (&where == &home()) {
    open_here(where, plan_, std::move(connection), std::move(slot));
    return;
  }
  struct parcel {
    loop_host* home;
    std::shared_ptr<listener_plan> plan;
    net::listener_socket::accepted connection;
    std::shared_ptr<connection_slot> slot;
  };
  auto given = std::make_unique<parcel>(parcel{&where, plan_, std::move(connection), std::move(slot)});
  const auto posted = where.loop().post(
      [](void* object, void*) noexcept {
        std::unique_ptr<parcel> p{static_cast<parcel*>(object)};
        open_here(*p->home, p->plan, std::move(p->connection), std::move(p->slot));
      },
      given.get(), nullptr);
  if (posted)
    (void)given.release();
}

/// Its address has as many connections as it may have.
void listener_actor::refuse(net::listener_socket::accepted connection) noexcept {
  if (!stopping_)
    plan_->give_back_allowed();
  held_ = nullptr; // and thereby tells a shard that waits for it
  (void)connection.socket.set(net::linger{std::chrono::seconds{0}});
  connection.socket.close();
  net::log_limited(
      net::log_level::warning, "accept",
      local_.to_string() + ": a connection from " + connection.peer.ip().to_string() + " is refused, for its " +
          (connection.peer.ip().unmapped().is_v4() ? "address" : "network (/64)") + " has as many as it may have");
}

/// In the name of the listener that others know.
void listener_actor::tell_alarm(std::uint32_t live) noexcept {
  if (plan_->owner)
    plan_->owner->enqueue(caf::make_mailbox_element(leader_ ? leader_ : caf::strong_actor_ptr{ctrl()},
                                                    caf::make_message_id(), {}, connections_alarm{local_, live}),
                          &home());
}

/// In the thread of `home`.
void listener_actor::open_here(loop_host& home, const std::shared_ptr<listener_plan>& plan,
                               net::listener_socket::accepted connection,
                               std::shared_ptr<connection_slot> slot) noexcept {
  if (connection.socket.transport() == net::transport::tcp)
    (void)connection.socket.set(net::no_delay{true});
  if (auto done = connection.socket.set_all(plan->options.sockets.list); !done)
    net::log_limited(net::log_level::warning, "accept",
                     "an option could not be set on an accepted connection: " + done.error().message());
  net::endpoint local;
  if (!plan->make_handler)
    if (auto found = connection.socket.local_endpoint())
      local = *found;
  auto peer = connection.peer;
  auto options = plan->options.connection;
  options.handshake_deadline = std::chrono::milliseconds{plan->handshake_deadline.load()};
  if (options.when_slow == slow_peer::usual && plan->make_handler)
    options.when_slow = slow_peer::pause;
  const auto opened =
      open_connection(home, {std::move(connection.socket), std::move(connection.peer), options, std::move(slot)},
                      plan->make_handler, nullptr);
  if (!plan->make_handler && opened && plan->owner)
    plan->owner->enqueue(caf::make_mailbox_element(opened.pointer(), caf::make_message_id(), {},
                                                   accepted{opened, std::move(local), std::move(peer)}),
                         &home);
}

void listener_actor::on_accept_failed(std::error_code cause) noexcept {
  if (!stopping_)
    plan_->give_back_allowed();
  held_ = nullptr; // and thereby tells a shard that waits for it
  if (cause == errc::would_block) {
    if (stopping_)
      close_socket();
    return;
  }
  if (cause == errc::connection_aborted)
    return;
  if (const auto code = static_cast<errc>(cause.value()); is_lost(code) && !stopping_) {
    fail(make_error(code, "the socket does not listen any more: somebody else has shut it down"));
    return;
  }
  net::log_limited(net::log_level::warning, "accept",
                   local_.to_string() + ": cannot accept a connection: " + cause.message() + "; trying again in " +
                       std::to_string(plan_->options.accept_pause.count()) + " ms");
  if (stopping_)
    close_socket();
  else
    home().loop().timers().arm(*this, home().loop().deadline_in(plan_->options.accept_pause));
}

void listener_actor::on_timer(net::time_point now) noexcept {
  const net::check_at_end check{[this] { check_waits(); }};
  awaits_rate_ = false;
  if (!draining_) {
    accept_more();
  } else if (drain_until_ && now >= *drain_until_) {
    cut_off();
  }
}

/// The limits have changed.
void listener_actor::look_again() noexcept {
  if (!stopping_ && std::exchange(awaits_rate_, false))
    home().loop().timers().cancel(*this);
  accept_more();
}

void listener_actor::accept_more() noexcept {
  if (channel_ != net::channel::none)
    home().loop().io().accept_more(channel_);
}

// -- ending ------------------------------------------------------------------------------------------

/// Takes what waits in the backlog first: closing would reset connections that their peers think made. No more than the
/// kernel lets wait there, for those who come faster than it accepts would hold it up for ever.
void listener_actor::stop() noexcept {
  if (std::exchange(stopping_, true))
    return;
  to_take_ = std::int64_t{plan_->options.backlog} + 1;
  home().loop().timers().cancel(*this);
  for (const auto& shard : shards_)
    send(shard, caf::make_message_id(), stop_listening{});
  accept_more();
}

void listener_actor::begin_drain(std::chrono::milliseconds deadline) noexcept {
  const auto until = home().loop().deadline_in(deadline);
  drain_until_ = drain_until_ ? std::min(*drain_until_, until) : until;
  draining_ = true;
  if (deadline.count() <= 0) {
    stopping_ = true;
    cut_off();
    return;
  }
  stop();
  home().loop().timers().arm(*this, *drain_until_);
  finish_if_done();
}

/// Takes nothing any more, and ends what there is.
void listener_actor::cut_off() noexcept {
  if (std::exchange(aborted_, true))
    return;
  for (const auto& shard : shards_)
    send(shard, caf::make_message_id(), drain{std::chrono::milliseconds{0}});
  if (is_leader())
    end_connections(plan_->all, plan_->count, &connection_actor::abort);
  close_socket();
}

/// As a drain that closes the connections, and leaves the socket and what waits there.
void listener_actor::stand_down_within(std::chrono::milliseconds deadline) noexcept {
  leaves_socket_ = stopping_ = true;
  for (const auto& each : shards_)
    send(each, caf::make_message_id(), stand_down{deadline});
  if (is_leader()) {
    draining_ = true;
    drain_until_ = home().loop().deadline_in(deadline);
    home().loop().timers().arm(*this, *drain_until_);
    end_connections(plan_->all, plan_->count, &connection_actor::close);
  }
  close_socket();
}

void listener_actor::close_socket() noexcept {
  if (channel_ == net::channel::none)
    return;
  path_watch_.reset();
  home().loop().io().close(std::exchange(channel_, net::channel::none));
  if (!leaves_socket_)
    socket().close();
  finish_if_done();
}

void listener_actor::finish_if_done() noexcept {
  if (channel_ != net::channel::none || !shards_.empty() || ended())
    return;
  if (failed_with_)
    finish(*failed_with_);
  else if (!draining_ || !plan_->count->await_end(caf::strong_actor_ptr{ctrl()})) // or `slot_returned` brings us back
    finish({});
}

void listener_actor::finish(caf::error cause) noexcept {
  home().loop().timers().cancel(*this);
  if (is_leader() && failed_with_ && is_lost(code_of(*failed_with_))) {
    net::log(net::log_level::error, "accept", local_.to_string() + ": " + to_text(cause));
    plan_->sockets.clear(); // whoever comes next opens others
  }
  if (is_leader() && (failed_with_ || leaves_socket_))
    plan_->leave();
  for (auto& request : stop_requests_)
    answer(request, caf::ok_atom_v);
  stop_requests_.clear();
  if (is_leader() && plan_->owner) {
    unwatch(plan_->owner);
    send(plan_->owner, caf::make_message_id(), listener_closed{local_, cause});
  }
  end(std::move(cause));
  plan_.reset(); // with the owner, who may hold this actor: both would stay for ever
}

void listener_actor::abort_now(errc cause) {
  fail(make_error(cause));
}

/// The leader ends when its shards have, whose loops may be busy: whoever sees its end may open the same address again.
void listener_actor::fail(caf::error cause) {
  if (ended() || failed_with_)
    return;
  failed_with_ = std::move(cause);
  stopping_ = true;
  path_watch_.reset();
  home().loop().timers().cancel(*this);
  for (const auto& shard : shards_)
    send(shard, caf::make_message_id(), caf::exit_msg{address(), caf::exit_reason::kill});
  if (channel_ != net::channel::none)
    home().loop().io().close(std::exchange(channel_, net::channel::none));
  finish_if_done();
}

/// Who wakes it; shards do so by their ends, and connections by `slot_returned`.
void listener_actor::check_waits() const noexcept {
  if (ended())
    return;
  const net::waits_check check{"listener", draining_ ? "draining" : stopping_ ? "stopping" : "open"};
  check(awaits_rate_ && !stopping_, "the accept rate", armed());
  check(draining_ && !aborted_, "the deadline of a drain", armed());
  check(failed_with_ && channel_ == net::channel::none, "the end", !shards_.empty());
  check(stopping_ && channel_ == net::channel::none, "the end", !shards_.empty(), draining_);
}

// -- commands ----------------------------------------------------------------------------------------

bool listener_actor::note(caf::mailbox_element&) {
  return false;
}

void listener_actor::on_message(caf::mailbox_element& command) {
  const net::check_at_end check{[this] { check_waits(); }};
  auto& content = command.content();
  const auto forward = [this](auto order) {
    for (const auto& shard : shards_)
      send(shard, caf::make_message_id(), order);
  };
  if (content.match_elements<slot_returned>()) {
    if (draining_ && channel_ == net::channel::none)
      finish_if_done();
    else
      accept_more();
    return;
  }
  if (content.match_elements<pause_accepting>()) {
    paused_ = true;
    plan_->paused = true;
    forward(pause_accepting{});
  } else if (content.match_elements<resume_accepting>()) {
    const auto order = content.get_as<resume_accepting>(0);
    paused_ = false;
    plan_->paused = false;
    if (is_leader())
      plan_->allowed.store(order.connections == 0 ? -1 : static_cast<std::int64_t>(order.connections));
    forward(order);
    accept_more();
  } else if (content.match_elements<set_limits>()) {
    plan_->change(content.get_as<set_limits>(0));
    forward(set_limits{}); // to look again
    look_again();
  } else if (content.match_elements<get_listener_info>()) {
    answer_info(command);
    return;
  } else if (content.match_elements<stop_listening>()) {
    stop_requests_.push_back(answer_later(command));
    stop();
    return;
  } else if (content.match_elements<stand_down>()) {
    stand_down_within(content.get_as<stand_down>(0).deadline);
  } else if (content.match_elements<drain>()) {
    stop_requests_.push_back(answer_later(command));
    begin_drain(content.get_as<drain>(0).deadline);
    return;
  } else {
    answer(command, make_error(errc::unexpected_message));
    return;
  }
  answer(command, caf::ok_atom_v);
}

/// From the loop that counts last, and also when the listener has ended by then.
void listener_actor::answer_info(const caf::mailbox_element& request) {
  if (!request.mid.is_request() || !request.sender)
    return;
  listener_info info;
  info.local = local_;
  info.path_lost = channel_ != net::channel::none && socket().path().is_lost();
  if (stopping_)
    info.state = listener_state::stopping;
  else if (paused_ || plan_->allowed.load() == 0)
    info.state = listener_state::paused;
  plan_->book->measure([me = caf::strong_actor_ptr{ctrl()}, asked = answer_later(request), book = plan_->book,
                        info](const listener_book::traffic& moved) mutable {
    info.connections = book->live();
    info.accepted = book->accepted();
    info.refused = book->refused();
    info.bytes_received = moved.received;
    info.bytes_sent = moved.sent;
    asked.sender->enqueue(me, asked.id.response_id(), caf::make_message(info), nullptr);
  });
}

void listener_actor::after_end(caf::mailbox_element& command) {
  if (command.content().match_elements<stop_listening>() || command.content().match_elements<drain>())
    answer(command, caf::ok_atom_v);
  else
    answer(command, make_error(errc::closed));
}

void listener_actor::on_exit_message(const caf::strong_actor_ptr&, const caf::error& reason) {
  if (!reason || reason == caf::exit_reason::normal)
    return;
  if (reason == caf::exit_reason::user_shutdown)
    stop();
  else
    abort_now(errc::aborted);
}

void listener_actor::on_down_message(const caf::strong_actor_ptr& source, const caf::error& reason) {
  if (source == plan_->owner) {
    stop();
    return;
  }
  if (std::erase(shards_, source) == 0)
    return;
  if (reason && !stopping_)
    fail(is_lost(code_of(reason)) ? reason : make_error(errc::other)); // with a hole in it, it serves nobody well
  else
    finish_if_done();
}

} // namespace actnet
