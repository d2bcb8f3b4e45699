#include "actnet/actors/main_actor.hpp"

#include "actnet/actors/errors.hpp"

#include <caf/exit_reason.hpp>
#include <caf/system_messages.hpp>

#include <iostream>


namespace actnet {

main_actor::main_actor(caf::actor_config& cfg, std::string program, std::chrono::milliseconds drain_deadline,
                       main_function fun, program_outcome& outcome)
  : handler(cfg), program_(std::move(program)), drain_deadline_(drain_deadline), fun_(std::move(fun)),
    outcome_(outcome) {
  set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) {
    children_.erase(down.source);
    end_if_alone();
  });
}

caf::behavior main_actor::make_behavior() {
  const auto theirs = fun_(*this);
  fun_ = nullptr;
  begun_ = true;
  caf::message_handler ours{
      [this](const program_stop& order) { stop(order); },
      [this](const program_abort& order) {
        exit_code_ = order.exit_code;
        for (const auto& child : children_)
          send_exit(child, caf::exit_reason::kill);
        quit();
      },
      [this](const listening& l) { say("listening on " + l.local.to_string()); },
      [this](const bound& b) { say("listening on " + b.local.to_string()); },
      [this](const listen_failed& f) { give_up("listen on", f.local, f.cause); },
      [this](const bind_failed& f) { give_up("bind", f.local, f.cause); },
      [this](const connect_failed& f) { give_up("connect to", f.remote, f.cause); },
      [](const listener_closed&) {},
      [](const datagram::closed&) {},
      [](const stream::closed&) {},
  };
  // A program that opened nothing and waits for nothing is over.
  if (children_.empty() && !theirs)
    quit();
  return theirs ? caf::behavior{caf::message_handler{theirs.as_behavior_impl()}.or_else(ours)} : caf::behavior{ours};
}

void main_actor::give_up(const char* what, const net::endpoint& where, const caf::error& cause) {
  const auto reason = to_text(cause);
  stop({1, code_of(cause) == errc::invalid_endpoint ? reason : std::string{"cannot "} + what + " " + where.to_string() + ": " + reason,
        std::chrono::milliseconds{0}});
}

void main_actor::on_exit() {
  outcome_.ended(exit_code_);
}

void main_actor::opened(const caf::actor& socket) {
  monitor(socket);
  children_.insert(socket.address());
  if (draining_)
    send(socket, drain{*draining_});
}

void main_actor::stop(const program_stop& order) {
  if (!order.complaint.empty())
    say(program_ + ": " + order.complaint);
  if (order.exit_code != 0)
    exit_code_ = order.exit_code;
  if (draining_)
    return;
  draining_ = order.drain_deadline.value_or(drain_deadline_);
  outcome_.draining(*draining_);
  for (const auto& child : children_)
    send(caf::actor_cast<caf::actor>(child), drain{*draining_});
  end_if_alone();
}

void main_actor::say(const std::string& line) const {
  std::cerr << line + "\n" << std::flush;
}

void main_actor::end_if_alone() {
  if (begun_ && children_.empty())
    quit();
}

} // namespace actnet
