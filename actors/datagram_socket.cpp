#include "actnet/actors/datagram_socket.hpp"

#include "actnet/actors/datagram_actor.hpp"
#include "actnet/actors/messages.hpp"
#include "actnet/actors/this_actor.hpp"

namespace actnet {

datagram_socket::datagram_socket(caf::strong_actor_ptr target) noexcept
    : handle(std::move(target)),
      local_(pointer() ? dynamic_cast<datagram_actor*>(caf::actor_cast<caf::abstract_actor*>(pointer())) : nullptr) {}

datagram_socket::datagram_socket(datagram_actor& target) noexcept
    : handle(caf::strong_actor_ptr{target.ctrl()}), local_(&target) {}

void datagram_socket::send(net::bytes payload, std::uint64_t token) const {
  if (local_)
    local_->send_datagram(std::move(payload), nullptr, token, this_actor());
  else
    tell(datagram::send{std::move(payload), std::nullopt, token});
}

void datagram_socket::send(std::string_view text, std::uint64_t token) const {
  send(net::bytes::copy(text), token);
}

void datagram_socket::send_to(const net::endpoint& to, net::bytes payload, std::uint64_t token) const {
  if (local_)
    local_->send_datagram(std::move(payload), &to, token, this_actor());
  else
    tell(datagram::send{std::move(payload), to, token});
}

void datagram_socket::send_to(const net::endpoint& to, std::string_view text, std::uint64_t token) const {
  send_to(to, net::bytes::copy(text), token);
}

void datagram_socket::answer(const datagram::received& question, net::bytes payload, std::uint64_t token) const {
  if (local_)
    local_->send_datagram(std::move(payload), &question.from, token, this_actor(), question.answer_from());
  else
    tell(datagram::send{std::move(payload), question.from, token, question.answer_from()});
}

void datagram_socket::answer(const datagram::received& question, std::string_view text, std::uint64_t token) const {
  answer(question, net::bytes::copy(text), token);
}

void datagram_socket::send_file(const net::endpoint& to, std::string path, std::uint64_t offset, std::uint64_t count,
                                std::uint64_t token) const {
  tell(datagram::send_file{std::move(path), to, offset, count, token});
}

void datagram_socket::connect(const net::endpoint& peer) const {
  tell(datagram::connect{peer});
}

void datagram_socket::disconnect() const {
  tell(datagram::disconnect{});
}

void datagram_socket::join_group(net::join_group group) const {
  tell(datagram::join_group{std::move(group)});
}

void datagram_socket::leave_group(net::leave_group group) const {
  tell(datagram::leave_group{std::move(group)});
}

void datagram_socket::set_options(socket_options options) const {
  tell(datagram::set_options{std::move(options)});
}

void datagram_socket::set_owner(caf::actor owner) const {
  tell(datagram::set_owner{caf::actor_cast<caf::strong_actor_ptr>(std::move(owner))});
}

void datagram_socket::pause_reading() const {
  tell(datagram::pause_reading{});
}

void datagram_socket::resume_reading() const {
  tell(datagram::resume_reading{});
}

void datagram_socket::close() const {
  tell(datagram::close{});
}

} // namespace actnet
