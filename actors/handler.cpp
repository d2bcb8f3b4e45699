#include "actnet/actors/handler.hpp"

#include "actnet/actors/main_actor.hpp"
#include "actnet/net/log.hpp"

#include <caf/actor_cast.hpp>
#include <caf/actor_registry.hpp>
#include <caf/exit_reason.hpp>
#include <caf/message_view.hpp>
#include <caf/result.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/send.hpp>

namespace actnet {

namespace {

template <class Order>
Order opened_here(handler& self, Order order) {
  order.owned_by(&self);
  if (auto parent = self.as_supervisor())
    order.supervised_by(*parent);
  else
    order.opened_by(self);
  return order;
}

void log_dropped(const caf::scheduled_actor& self, const std::string& what) {
  net::log_limited(net::log_level::warning, "unexpected-message",
                   std::string{self.name()} + "#" + std::to_string(self.id()) + " dropped " + what);
}

/// Answers what a behaviour leaves out.
caf::result<caf::message> handle_the_rest(caf::scheduled_actor* self, caf::message_view& view) {
  auto& content = view.content();
  const auto is = [&content]<class Message>(Message*) { return content.match_elements<Message>(); };
  const auto ends_with_cause = [&]<class Message>(Message*) {
    if (!content.match_elements<Message>())
      return false;
    self->quit(content.get_as<Message>(0).cause);
    return true;
  };
  if (content.match_elements<connect_failed>() && content.get_as<connect_failed>(0).cause == errc::cancelled)
    return caf::message{};
  const auto failed_outcome = [&]<class Message>(Message*) {
    if (!content.match_elements<Message>())
      return false;
    if (const auto& cause = content.get_as<Message>(0).cause; cause && net::log_enabled(net::log_level::debug))
      net::log_limited(net::log_level::debug, "outcome", to_text(cause));
    return true;
  };
  if (ends_with_cause(static_cast<stream::closed*>(nullptr)) ||
      ends_with_cause(static_cast<datagram::closed*>(nullptr)) ||
      ends_with_cause(static_cast<listener_closed*>(nullptr)) ||
      ends_with_cause(static_cast<listen_failed*>(nullptr)) || ends_with_cause(static_cast<bind_failed*>(nullptr)) ||
      ends_with_cause(static_cast<connect_failed*>(nullptr)) ||
      failed_outcome(static_cast<stream::written*>(nullptr)) ||
      failed_outcome(static_cast<stream::finished*>(nullptr)) ||
      failed_outcome(static_cast<stream::pulled*>(nullptr)) || failed_outcome(static_cast<datagram::sent*>(nullptr)))
    return caf::message{};
  if (is(static_cast<drain*>(nullptr))) {
    self->quit();
    return caf::message{};
  }
  if (is(static_cast<stream::peer_finished*>(nullptr)) || is(static_cast<stream::writable*>(nullptr)) ||
      is(static_cast<datagram::writable*>(nullptr)) || is(static_cast<listening*>(nullptr)) ||
      is(static_cast<bound*>(nullptr)) || is(static_cast<connected*>(nullptr)) ||
      is(static_cast<reconnecting*>(nullptr)) || is(static_cast<connections_alarm*>(nullptr)))
    return caf::message{};
  if (content.match_elements<accepted>()) {
    content.get_as<accepted>(0).connection.abort();
    return caf::message{};
  }
  if (self->current_message_id().is_request())
    return make_error(errc::unexpected_message);
  log_dropped(*self, content.stringify());
  return caf::message{};
}

} // namespace

handler::handler(caf::actor_config& cfg) : hosted_actor(cfg) {
  set_default_handler(handle_the_rest);
  set_down_handler([](caf::scheduled_actor*, caf::down_msg&) {});
}

listen_order handler::listen(endpoint_argument local, listen_options options) {
  return opened_here(*this, actnet::listen(system(), std::move(local), std::move(options)));
}

connect_order handler::connect_to(endpoint_argument remote, connect_options options) {
  return std::move(actnet::connect_to(system(), std::move(remote), std::move(options)).owned_by(this).opened_by(*this));
}

bind_order handler::bind(endpoint_argument local, bind_options options) {
  return opened_here(*this, actnet::bind(system(), std::move(local), std::move(options)));
}

void handler::opened(const caf::actor&) {}

template <class Message>
void handler::tell_program(Message message) {
  if (auto main = system().registry().get(main_actor_name))
    caf::anon_send(caf::actor_cast<caf::actor>(main), std::move(message));
}

void handler::join_program() {
  tell_program(program_joined{caf::actor{this}});
}

void handler::stop_program(int exit_code, std::optional<std::chrono::milliseconds> drain_deadline) {
  tell_program(program_stop{exit_code, {}, drain_deadline});
}

void handler::fail_program(std::string why, std::optional<std::chrono::milliseconds> drain_deadline) {
  tell_program(program_stop{1, std::move(why), drain_deadline});
}

} // namespace actnet
