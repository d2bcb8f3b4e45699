#include "actnet/actors/open.hpp"

#include "actnet/actors/client_actor.hpp"
#include "actnet/actors/datagram_actor.hpp"
#include "actnet/actors/errors.hpp"
#include "actnet/actors/handler.hpp"
#include "actnet/actors/listener_actor.hpp"
#include "actnet/actors/messages.hpp"
#include "actnet/actors/supervision/supervisor_actor.hpp"
#include "actnet/actors/unheard.hpp"

#include <caf/actor_cast.hpp>
#include <caf/mailbox_element.hpp>

#include <stdexcept>
#include <system_error>
#include <utility>

namespace actnet {

namespace {

constexpr const char* words_for(const listen_failed*) {
  return "listen on";
}

constexpr const char* words_for(const bind_failed*) {
  return "bind";
}

constexpr const char* words_for(const connect_failed*) {
  return "connect to";
}

template <class Failed>
void tell(const caf::actor& owner, const endpoint_argument& argument, caf::error cause) {
  if (!owner) {
    log_unheard(words_for(static_cast<Failed*>(nullptr)), argument.value(), cause);
    return;
  }
  caf::actor_cast<caf::strong_actor_ptr>(owner)->enqueue(
      caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, Failed{argument.value(), std::move(cause)}),
      nullptr);
}

template <class Failed>
void tell_mistake(const caf::actor& owner, const endpoint_argument& argument) {
  tell<Failed>(owner, argument, make_error(errc::invalid_endpoint, argument.mistake()));
}

/// The opener hears of the actor before it can have ended.
template <class Actor>
caf::strong_actor_ptr started(caf::strong_actor_ptr made, handler* opener = nullptr) {
  if (opener)
    opener->opened(caf::actor_cast<caf::actor>(made));
  static_cast<Actor&>(*made->get()).start();
  return made;
}

} // namespace

endpoint_argument::endpoint_argument(std::string_view text) {
  if (auto parsed = net::endpoint::parse(text)) {
    value_ = std::move(*parsed);
    const auto as_datagrams = net::endpoint::parse(text, net::transport::udp);
    bare_ = as_datagrams && !(*as_datagrams == value_);
  } else {
    mistake_ = parsed.error().message(text);
  }
}

endpoint_argument endpoint_argument::for_datagrams() && {
  if (bare_)
    value_ = value_.with_transport(net::transport::udp);
  return std::move(*this);
}

listen_order::listen_order(caf::actor_system& system, endpoint_argument local, listen_options options)
    : system_(system), local_(std::move(local)), options_(std::move(options)) {}

listener listen_order::start(connection_handler_factory make_handler) {
  if (!local_.mistake().empty()) {
    if (child_)
      throw std::invalid_argument{local_.mistake()};
    tell_mistake<listen_failed>(owner_, local_);
    return {};
  }
  if (supervisor_) {
    child_spec spec;
    spec.id = supervisor_->free_id(local_.value().to_string());
    spec.restart = restart::transient;
    spec.start = [local = local_, options = options_, make_handler = std::move(make_handler),
                  descriptor = descriptor_](const start_context& my) mutable {
      const auto given = std::exchange(descriptor, -1); // later that number may be somebody else's
      return started_child{my.listen(local, options).adopt(given).start(make_handler)};
    };
    return listener{caf::actor_cast<caf::strong_actor_ptr>(supervisor_->start_child(std::move(spec)))};
  }
  auto plan = kept_ ? std::dynamic_pointer_cast<listener_plan>(*kept_) : nullptr;
  if (!plan) {
    plan = std::make_shared<listener_plan>(loops::of(system_), local_.value(), options_, std::move(make_handler),
                                           caf::actor_cast<caf::strong_actor_ptr>(owner_),
                                           child_ ? child_->path() : std::string{});
    plan->paused = paused_;
    if (descriptor_ >= 0) {
      auto adopted = net::listener_socket::adopt(descriptor_);
      if (!adopted) {
        if (child_)
          throw std::system_error{adopted.error()};
        tell<listen_failed>(owner_, local_, make_error(adopted.error()));
        return {};
      }
      plan->sockets.push_back(std::move(*adopted));
    }
    if (kept_) {
      plan->kept = true;
      *kept_ = plan;
    }
  }
  return listener{started<listener_actor>(listener_actor::make(std::move(plan)), opener_)};
}

connect_order::connect_order(caf::actor_system& system, endpoint_argument remote, connect_options options)
    : system_(system), remote_(std::move(remote)), options_(std::move(options)) {}

client connect_order::start(connection_handler_factory make_handler) {
  if (!remote_.mistake().empty()) {
    tell_mistake<connect_failed>(owner_, remote_);
    return {};
  }
  return client{
      started<client_actor>(client_actor::make({loops::of(system_), options_, std::move(make_handler),
                                                caf::actor_cast<caf::strong_actor_ptr>(owner_), remote_.value()}),
                            opener_)};
}

bind_order::bind_order(caf::actor_system& system, endpoint_argument local, bind_options options)
    : system_(system), local_(std::move(local).for_datagrams()), options_(std::move(options)) {}

datagram_socket bind_order::start(datagram_handler_factory make_handler) {
  if (!local_.mistake().empty()) {
    if (child_)
      throw std::invalid_argument{local_.mistake()};
    tell_mistake<bind_failed>(owner_, local_);
    return {};
  }
  if (supervisor_) {
    child_spec spec;
    spec.id = supervisor_->free_id(local_.value().to_string());
    spec.restart = restart::transient;
    spec.start = [local = local_, options = options_, make_handler = std::move(make_handler)](const start_context& my) {
      return started_child{my.bind(local, options).start(make_handler)};
    };
    return datagram_socket{caf::actor_cast<caf::strong_actor_ptr>(supervisor_->start_child(std::move(spec)))};
  }
  auto kept = kept_ ? std::dynamic_pointer_cast<kept_datagram_socket>(*kept_) : nullptr;
  if (kept_ && !kept)
    *kept_ = kept = std::make_shared<kept_datagram_socket>(child_->handle());
  return datagram_socket{started<datagram_actor>(
      datagram_actor::make(loops::of(system_).next(options_.same_loop), local_.value(), options_,
                           caf::actor_cast<caf::strong_actor_ptr>(owner_), std::move(make_handler), std::move(kept)),
      opener_)};
}

listen_order listen(caf::actor_system& system, endpoint_argument local) {
  return listen(system, std::move(local), loops::of(system).settings().listener);
}

listen_order listen(caf::actor_system& system, endpoint_argument local, listen_options options) {
  return {system, std::move(local), std::move(options)};
}

connect_order connect_to(caf::actor_system& system, endpoint_argument remote) {
  return connect_to(system, std::move(remote), loops::of(system).settings().client);
}

connect_order connect_to(caf::actor_system& system, endpoint_argument remote, connect_options options) {
  return {system, std::move(remote), std::move(options)};
}

bind_order bind(caf::actor_system& system, endpoint_argument local) {
  return bind(system, std::move(local), loops::of(system).settings().datagram);
}

bind_order bind(caf::actor_system& system, endpoint_argument local, bind_options options) {
  return {system, std::move(local), std::move(options)};
}

client make_client(caf::actor_system& system, const caf::actor& owner) {
  return make_client(system, owner, loops::of(system).settings().client);
}

client make_client(caf::actor_system& system, const caf::actor& owner, connect_options options) {
  return client{started<client_actor>(client_actor::make(
      {loops::of(system), std::move(options), nullptr, caf::actor_cast<caf::strong_actor_ptr>(owner), std::nullopt}))};
}

net::result<connection> adopt_connection(caf::actor_system& system, int descriptor, const caf::actor& owner) {
  return adopt_connection(system, descriptor, owner, loops::of(system).settings().client.connection);
}

net::result<connection> adopt_connection(caf::actor_system& system, int descriptor, const caf::actor& owner,
                                         connection_options options) {
  auto socket = net::stream_socket::adopt(descriptor);
  if (!socket)
    return net::failure{socket.error()};
  net::endpoint peer;
  if (auto found = socket->peer_endpoint())
    peer = *found;
  const auto made =
      connection_actor::make(loops::of(system).next(), {std::move(*socket), std::move(peer), options, nullptr});
  auto& born = static_cast<connection_actor&>(*made->get());
  born.born_to(caf::actor_cast<caf::strong_actor_ptr>(owner));
  born.start();
  return connection{born};
}

} // namespace actnet
