#include "actnet/actors/main_actor.hpp"

#include "actnet/actors/errors.hpp"
#include "actnet/actors/loop_host.hpp"
#include "actnet/actors/supervision/tree.hpp"
#include "actnet/net/log.hpp"

#include <caf/actor_registry.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>
#include <caf/system_messages.hpp>

#include <algorithm>

namespace actnet {

namespace {

using std::chrono::milliseconds;

/// What those who were told to drain get beyond the deadline to end by themselves.
constexpr milliseconds grace{100};

/// Lines in the log: a cool-down may be as short as a millisecond. More than one, for the log's kind is also that of
/// other events.
constexpr unsigned alarms_per_second = 10;

/// What a service gets at least, however late the others were.
constexpr milliseconds service_patience_min{500};

} // namespace

main_actor::main_actor(caf::actor_config& cfg, std::string program, const actnet::settings& settings, main_function fun,
                       program_outcome& outcome)
    : supervisor_actor(cfg, "main", settings.supervisor, {}, {}),
      program_(std::move(program)),
      drain_deadline_(settings.drain_deadline),
      fun_(std::move(fun)),
      outcome_(outcome) {
  set_exception_handler([this](caf::scheduled_actor*, std::exception_ptr& cause) {
    std::string what = "an unknown exception";
    try {
      std::rethrow_exception(cause);
    } catch (const std::exception& e) {
      what = e.what();
    } catch (...) {
    }
    say(program_ + ": " + what);
    exit_code_ = 1;
    return make_error(errc::other, what);
  });
}

caf::behavior main_actor::make_behavior() {
  system().registry().put(main_actor_name, caf::strong_actor_ptr{ctrl()}); // whom the program's actors turn to
  const auto theirs = fun_(*this);
  fun_ = nullptr;
  caf::message_handler ours{
      [this](const program_stop& order) { stop(order); },
      [this](const program_abort& order) {
        exit_code_ = order.exit_code;
        for (const auto* all : {&others_, &services_})
          for (const auto& each : *all)
            send_exit(each, caf::exit_reason::kill);
        quit(); // and with it all children
      },
      [this](const program_joined& joined) { opened(joined.who); },
      [this](program_begun) {
        begun_ = true;
        end_if_alone();
      },
      [this](print_tree) { look_at_tree({}, [](const tree_node& root) { net::say(to_text(root)); }); },
      [this](const listening& l) { tell_of(l.local); },
      [this](const bound& b) { tell_of(b.local); },
      [this](const listen_failed& f) { socket_failed(failure_in_words("listen on", f.local, f.cause)); },
      [this](const bind_failed& f) { socket_failed(failure_in_words("bind", f.local, f.cause)); },
      [this](const connect_failed& f) {
        if (f.cause != errc::cancelled) // else the program itself has called it off
          socket_failed(failure_in_words("connect to", f.remote, f.cause));
      },
      [](const connections_alarm& a) {
        net::log_limited(net::log_level::warning, "accept",
                         a.local.to_string() + ": there are " + std::to_string(a.connections) + " connections",
                         alarms_per_second);
      },
      [](const listener_closed&) {},
      [](const datagram::closed&) {},
      [](const stream::closed&) {},
  };
  ours = ours.or_else(supervision());
  // A program that opened nothing and waits for nothing is over, but what it could not open is told first.
  if (others_.empty() && is_idle() && !theirs)
    send(this, program_begun{});
  else
    begun_ = true;
  return theirs ? caf::behavior{caf::message_handler{theirs.as_behavior_impl()}.or_else(ours)} : caf::behavior{ours};
}

/// The first time: later ones are of what is called off with everything else.
void main_actor::give_up(const std::string& sentence) {
  if (!drain_until_)
    stop({1, sentence, milliseconds{0}});
}

void main_actor::socket_failed(const std::string& sentence) {
  if (!failed_to_open(sentence))
    give_up(sentence);
}

void main_actor::child_failed_to_start(const std::string& path, started_child::nature is, const caf::error& cause) {
  if (is == started_child::nature::plain || is == started_child::nature::supervisor) // sockets say so themselves
    give_up("cannot start " + path + ": " + to_text(cause));
}

void main_actor::told_to_end(const caf::error& reason) {
  if (reason == caf::exit_reason::user_shutdown)
    stop({});
  else
    stop({1, "told to end: " + to_text(reason), {}});
}

void main_actor::tell_of(const net::endpoint& where) {
  if (told_of_.insert(where.to_string()).second) // its actor may have been started again
    say("listening on " + where.to_string());
}

/// The drain deadline is over.
void main_actor::on_timer(net::time_point) noexcept {
  for (const auto& each : others_)
    caf::anon_send_exit(each, caf::exit_reason::kill);
  kill_all();
}

void main_actor::on_exit() {
  home()->loop().timers().cancel(*this);
  supervisor_actor::on_exit();
  const auto& reason = fail_state();
  if (reason && reason != caf::exit_reason::normal && reason != caf::exit_reason::user_shutdown && exit_code_ == 0) {
    say(program_ + ": the main actor ended: " + to_text(reason));
    exit_code_ = 1;
  }
  outcome_.ended(exit_code_);
}

void main_actor::other_down(const caf::down_msg& message) {
  others_.erase(message.source);
  services_.erase(message.source);
  end_if_alone();
}

void main_actor::all_ended(const caf::error&) {
  sockets_gone_ = children_gone_ = true;
  end_if_alone();
}

void main_actor::opened(const caf::actor& socket) {
  monitor(socket);
  others_.insert(socket.address());
  if (drain_until_)
    send(socket, drain{patience_left()});
}

void main_actor::keep_to_the_end(const caf::actor& service) {
  monitor(service);
  services_.insert(service.address());
}

void main_actor::stop(const program_stop& order) {
  if (!order.complaint.empty() && exit_code_ == 0)
    say(program_ + ": " + order.complaint);
  if (order.exit_code != 0)
    exit_code_ = order.exit_code;
  const auto deadline = order.drain_deadline.value_or(drain_deadline_);
  const auto until = home()->loop().deadline_in(deadline);
  if (drain_until_ && *drain_until_ <= until)
    return;
  drain_until_ = until;
  outcome_.draining(deadline);
  for (const auto& each : others_)
    send(caf::actor_cast<caf::actor>(each), drain{deadline});
  drain_sockets(deadline, [this] {
    sockets_gone_ = true;
    end_if_alone();
  });
  home()->loop().timers().arm(*this, net::later(until, grace));
}

void main_actor::say(const std::string& line) const {
  net::say(line + "\n");
}

milliseconds main_actor::patience_left() const {
  if (!drain_until_)
    return milliseconds::max();
  return std::max(milliseconds{0}, std::chrono::ceil<milliseconds>(*drain_until_ - home()->loop().time().now()));
}

void main_actor::end_if_alone() {
  if (!begun_ || !others_.empty() || (drain_until_ && !sockets_gone_))
    return;
  if (!is_idle() && !children_gone_) {
    if (drain_until_)
      end_all({});
    return;
  }
  for (const auto& service : services_)
    send(caf::actor_cast<caf::actor>(service), drain{std::max(patience_left(), service_patience_min)});
  if (services_.empty())
    quit();
}

} // namespace actnet
